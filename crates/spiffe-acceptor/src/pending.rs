//! How many handshakes may be pending, and which gives way to one more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use tokio::sync::oneshot;

/// Why a handshake had to give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// It was the oldest of all.
    Oldest,
    /// It was the oldest of its address.
    OldestOfAddress,
}

/// The pending handshakes of a listener, by age.
#[derive(Debug)]
pub(crate) struct Pending {
    max: usize,
    max_per_address: usize,
    by_age: BTreeMap<u64, Entry>,
    by_network: HashMap<Network, BTreeSet<u64>>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    network: Option<Network>,
    evict: oneshot::Sender<Eviction>,
}

/// Who counts as one address: whoever has one IPv6 address has the other 2⁶⁴ of its network too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl Pending {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            max,
            max_per_address,
            by_age: BTreeMap::new(),
            by_network: HashMap::new(),
            next: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Takes one more in. It is told through the receiver when it has to give way itself; its number
    /// is for [`done`](Self::done).
    pub(crate) fn admit(&mut self, address: Option<IpAddr>) -> (u64, oneshot::Receiver<Eviction>) {
        let network = address.map(Network::from);
        if let Some(oldest) = network.and_then(|network| self.oldest_over_quota(network)) {
            self.evict(oldest, Eviction::OldestOfAddress);
        }
        while self.by_age.len() >= self.max {
            let Some((&oldest, _)) = self.by_age.first_key_value() else {
                break;
            };
            self.evict(oldest, Eviction::Oldest);
        }
        let number = self.next;
        self.next += 1;
        let (evict, evicted) = oneshot::channel();
        self.by_age.insert(number, Entry { network, evict });
        if let Some(network) = network {
            self.by_network.entry(network).or_default().insert(number);
        }
        (number, evicted)
    }

    /// A handshake is over.
    pub(crate) fn done(&mut self, number: u64) {
        self.remove(number);
    }

    fn oldest_over_quota(&self, network: Network) -> Option<u64> {
        let pending = self.by_network.get(&network)?;
        if pending.len() < self.max_per_address {
            return None;
        }
        pending.first().copied()
    }

    fn evict(&mut self, number: u64, why: Eviction) {
        if let Some(entry) = self.remove(number) {
            // One that has ended in this moment needs no telling.
            let _ = entry.evict.send(why);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.by_age.remove(&number)?;
        if let Some(network) = entry.network
            && let Some(pending) = self.by_network.get_mut(&network)
        {
            pending.remove(&number);
            if pending.is_empty() {
                self.by_network.remove(&network);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_oldest_of_the_address_gives_way_and_nobody_else() {
        let mut pending = Pending::new(100, 2);
        let (_, mut other) = pending.admit(address("192.0.2.1"));
        let (_, mut first) = pending.admit(address("192.0.2.2"));
        let (_, mut second) = pending.admit(address("::ffff:192.0.2.2"));
        let (_, mut third) = pending.admit(address("192.0.2.2"));
        assert_eq!(first.try_recv().unwrap(), Eviction::OldestOfAddress);
        for kept in [&mut other, &mut second, &mut third] {
            assert!(kept.try_recv().is_err());
        }
        assert_eq!(pending.len(), 3);
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let mut pending = Pending::new(100, 1);
        let (_, mut first) = pending.admit(address("2001:db8:0:1::1"));
        let (_, mut neighbour) = pending.admit(address("2001:db8:0:2::1"));
        let (_, _same) = pending.admit(address("2001:db8:0:1:ffff::2"));
        assert_eq!(first.try_recv().unwrap(), Eviction::OldestOfAddress);
        assert!(neighbour.try_recv().is_err());
    }

    #[test]
    fn the_oldest_of_all_gives_way_where_there_is_no_address() {
        let mut pending = Pending::new(2, 1);
        let (_, mut first) = pending.admit(None);
        let (_, mut second) = pending.admit(None);
        let (_, _third) = pending.admit(None);
        assert_eq!(first.try_recv().unwrap(), Eviction::Oldest);
        assert!(second.try_recv().is_err());
    }

    #[test]
    fn what_is_done_leaves_nothing_behind() {
        let mut pending = Pending::new(2, 1);
        for _ in 0..10 {
            let (number, mut receiver) = pending.admit(address("192.0.2.1"));
            pending.done(number);
            assert_eq!(
                receiver.try_recv(),
                Err(oneshot::error::TryRecvError::Closed),
                "let go, not evicted"
            );
        }
        assert_eq!((pending.len(), pending.by_network.len()), (0, 0));
    }
}
