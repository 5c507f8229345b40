mod execute;

use std::collections::BTreeMap;
use std::sync::Arc;

use spiffe_peer::{SpiffeId, TrustDomain};

use crate::authority::Authority;
use crate::error::OperationError;
use crate::fault::{Fault, FaultSwitch};
use crate::log::Log;
use crate::state::{Federation, State};

/// What the agent and its control socket both work on.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) state: Arc<State>,
    pub(crate) listeners: BTreeMap<Arc<str>, Listener>,
    pub(crate) log: Log,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) endpoint: String,
    pub(crate) fault: FaultSwitch,
}

impl Core {
    pub(crate) fn authority(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<&Authority, OperationError> {
        self.state
            .authority(trust_domain)
            .ok_or_else(|| self.unknown_trust_domain(trust_domain))
    }

    pub(crate) fn rotate_authority(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<(), OperationError> {
        self.authority(trust_domain)?.rotate()?;
        self.state.rotate_svids();
        Ok(())
    }

    pub(crate) fn set_withdrawn(
        &self,
        spiffe_id: &SpiffeId,
        withdrawn: bool,
    ) -> Result<(), OperationError> {
        if self.state.set_withdrawn(spiffe_id, withdrawn) {
            return Ok(());
        }
        let known = self
            .state
            .entries()
            .into_iter()
            .map(|(entry, ..)| entry.spiffe_id.clone());
        Err(OperationError::unknown("entry for", spiffe_id, known))
    }

    pub(crate) fn federate(
        &self,
        trust_domain: &TrustDomain,
        change: impl FnOnce(&mut Federation),
    ) -> Result<(), OperationError> {
        if self.state.federate(trust_domain, change) {
            Ok(())
        } else {
            Err(self.unknown_trust_domain(trust_domain))
        }
    }

    pub(crate) fn federate_with(
        &self,
        to: &TrustDomain,
        with: &TrustDomain,
    ) -> Result<(), OperationError> {
        self.authority(with)?;
        self.federate(to, |federation| {
            federation.x509.remove(&with.id_string());
            federation.jwt.remove(&with.id_string());
            federation.with.insert(with.clone());
        })
    }

    pub(crate) fn set_fault(
        &self,
        listener: &str,
        fault: Option<Fault>,
    ) -> Result<(), OperationError> {
        let Some(found) = self.listeners.get(listener) else {
            return Err(OperationError::unknown(
                "listener",
                listener,
                self.listeners.keys(),
            ));
        };
        found.fault.send_replace(fault);
        Ok(())
    }

    fn unknown_trust_domain(&self, trust_domain: &TrustDomain) -> OperationError {
        let known = self.state.authorities().map(Authority::trust_domain);
        OperationError::unknown("trust domain", trust_domain, known)
    }
}
