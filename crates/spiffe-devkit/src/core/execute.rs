use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use spiffe_peer::TrustDomain;

use super::Core;
use crate::authority::Authority;
use crate::command::Command;
use crate::error::OperationError;

const MAX_BUNDLE_BYTES: u64 = 1024 * 1024;

impl Core {
    pub(crate) async fn execute(&self, command: &Command) -> Result<String, OperationError> {
        let told = match command {
            Command::Status => return Ok(self.status()),
            Command::RotateSvids => {
                self.state.rotate_svids();
                "every workload has a new SVID".to_owned()
            }
            Command::RotateAuthority(name) => {
                self.rotate_authority(name)?;
                format!(
                    "{name} has a new authority; the old root stays until `retire authority {name}`"
                )
            }
            Command::PrepareAuthority(name) => {
                self.authority(name)?.prepare()?;
                format!(
                    "the new root of {name} is in the bundle; next comes `activate authority {name}`"
                )
            }
            Command::ActivateAuthority(name) => {
                self.authority(name)?.activate()?;
                format!(
                    "{name} issues from the new authority; next come `rotate svids` and `retire authority {name}`"
                )
            }
            Command::RetireAuthority(name) => {
                self.authority(name)?.retire()?;
                format!("the old roots of {name} are out of the bundle")
            }
            Command::Withdraw(id) => {
                self.set_withdrawn(id, true)?;
                format!("{id} is withdrawn")
            }
            Command::Restore(id) => {
                self.set_withdrawn(id, false)?;
                format!("{id} is restored")
            }
            Command::AddBundle(name, file) => {
                let path = file.clone();
                let read = tokio::task::spawn_blocking(move || read_bundle(&path)).await;
                let bundle =
                    bytes::Bytes::from(read.map_err(|error| OperationError::file(file, error))??);
                for own in self.others(name) {
                    self.federate(&own, |federation| {
                        federation.x509.insert(name.id_string(), bundle.clone());
                    })?;
                }
                format!("workloads have the bundle of {name}")
            }
            Command::RemoveBundle(name) => {
                for own in self.others(name) {
                    self.federate(&own, |federation| {
                        federation.with.remove(name);
                        federation.x509.remove(&name.id_string());
                        federation.jwt.remove(&name.id_string());
                    })?;
                }
                format!("no workload of another trust domain has the bundles of {name}")
            }
            Command::Federate(name, with) => {
                self.federate_with(name, with)?;
                format!("workloads of {name} have the bundles of {with}")
            }
            Command::Fault(listener, fault) => {
                self.set_fault(listener, Some(fault.clone()))?;
                format!("{listener}: {fault}; end it with `heal {listener}`")
            }
            Command::Heal(listener) => {
                self.set_fault(listener, None)?;
                format!("{listener} answers as it should")
            }
        };
        tracing::info!(target: "spiffe_devkit", %command, "{told}");
        Ok(told)
    }

    fn others(&self, than: &TrustDomain) -> Vec<TrustDomain> {
        self.state
            .authorities()
            .map(Authority::trust_domain)
            .filter(|own| *own != than)
            .cloned()
            .collect()
    }

    fn status(&self) -> String {
        let mut text = String::from("trust domains\n");
        for authority in self.state.authorities() {
            let roots = authority.snapshot().roots().count();
            let _ = writeln!(text, "  {}  roots {roots}", authority.trust_domain());
        }
        text.push_str("listeners\n");
        for (name, listener) in &self.listeners {
            let fault = listener.fault.borrow();
            let fault = fault
                .as_ref()
                .map(|fault| format!("  fault: {fault}"))
                .unwrap_or_default();
            let _ = writeln!(text, "  {name}  {}{fault}", listener.endpoint);
        }
        text.push_str("entries\n");
        for (entry, withdrawn, svid) in self.state.entries() {
            let svid = match svid {
                _ if withdrawn => "withdrawn".to_owned(),
                None => "nobody has asked".to_owned(),
                Some(svid) => {
                    let left = svid
                        .not_after
                        .duration_since(SystemTime::now())
                        .unwrap_or_default();
                    format!("serial {} ends in {}s", svid.serial, left.as_secs())
                }
            };
            let _ = writeln!(text, "  {}  {svid}", entry.spiffe_id);
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// The certificates of a PEM or DER file as one piece of DER.
fn read_bundle(path: &Path) -> Result<Vec<u8>, OperationError> {
    // Opening a pipe would wait for somebody who writes.
    let metadata = std::fs::metadata(path).map_err(|error| OperationError::file(path, error))?;
    if !metadata.is_file() {
        return Err(OperationError::file(path, "is no regular file"));
    }
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| OperationError::file(path, error))?;
    file.take(MAX_BUNDLE_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(|error| OperationError::file(path, error))?;
    if u64::try_from(content.len()).unwrap_or(u64::MAX) > MAX_BUNDLE_BYTES {
        return Err(OperationError::file(path, "a bundle has at most 1 MiB"));
    }
    // DER begins with the tag of a sequence.
    if content.first() == Some(&0x30) {
        return Ok(content);
    }
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates
            .iter()
            .flat_map(|der| der.iter().copied())
            .collect()),
        Ok(_) => Err(OperationError::file(
            path,
            "there is no certificate in it, neither PEM nor DER",
        )),
        Err(error) => Err(OperationError::file(path, error)),
    }
}
