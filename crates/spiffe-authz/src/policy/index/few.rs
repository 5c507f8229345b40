//! A map that mostly holds a few entries.

use std::hash::Hash;

use hashbrown::HashMap;

/// Up to so many entries are looked at one after the other.
const FEW: usize = 8;

#[derive(Debug)]
pub(super) struct FewMap<K, V> {
    entries: Vec<(K, V)>,
    /// Where in the entries a key is, once there are many.
    places: HashMap<K, usize>,
}

impl<K, V> Default for FewMap<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V: Default> FewMap<K, V> {
    /// Lets `change` work on what is there for a key, or on what is there to begin with.
    pub(super) fn change(&mut self, key: K, change: impl FnOnce(&mut V)) {
        if let Some(place) = self.place(key) {
            if let Some((_, value)) = self.entries.get_mut(place) {
                change(value);
            }
            return;
        }
        let mut value = V::default();
        change(&mut value);
        let place = self.entries.len();
        self.entries.push((key, value));
        if place == FEW {
            let keys = self.entries.iter().map(|(key, _)| *key);
            self.places = keys.zip(0..).collect();
        } else if place > FEW {
            self.places.insert(key, place);
        }
    }
}

impl<K: Copy + Eq + Hash, V> FewMap<K, V> {
    #[inline]
    pub(super) fn get(&self, key: K) -> Option<&V> {
        let place = self.place(key)?;
        self.entries.get(place).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    #[inline]
    fn place(&self, key: K) -> Option<usize> {
        if self.places.is_empty() {
            self.entries.iter().position(|(known, _)| *known == key)
        } else {
            self.places.get(&key).copied()
        }
    }
}
