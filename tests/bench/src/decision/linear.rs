//! What nobody can do more simply: one rule after the other.

use super::{Asked, Engine, Failure, Grant};

/// The rules as they are.
pub struct Linear {
    policy: Vec<Grant>,
}

impl Linear {
    /// Takes the policy.
    pub fn load(policy: &[Grant]) -> Self {
        Self {
            policy: policy.to_vec(),
        }
    }

    /// Takes the requests.
    pub fn with(self, requests: &[Asked]) -> impl Engine + use<> {
        WithRequests {
            policy: self.policy,
            requests: requests.to_vec(),
        }
    }
}

struct WithRequests {
    policy: Vec<Grant>,
    requests: Vec<Asked>,
}

impl Engine for WithRequests {
    fn decide(&mut self, request: usize) -> Result<bool, Failure> {
        let request = &self.requests[request];
        Ok(self.policy.iter().any(|grant| grant.meets(request)))
    }
}
