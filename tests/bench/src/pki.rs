//! Certificates as SPIRE shapes them, P-256, made as fast as a bench needs them: any number of
//! intermediates under one root, any number of leaves under each.

use std::error::Error;
use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe_source::{Material, SvidMaterial};

/// The ID of the servers.
pub const SERVER: &str = "spiffe://example.org/service/orders";
/// The ID of the clients.
pub const CLIENT: &str = "spiffe://example.org/service/payment-processor";
/// The name that clients dial. The server's certificate has it beside its ID, for peers that look
/// for a name.
pub const DIALLED: &str = "localhost";

type Failure = Box<dyn Error + Send + Sync>;

/// The root of a trust domain.
pub struct Root(CertifiedIssuer<'static, KeyPair>);

/// What issues leaves.
pub struct Intermediate {
    issuer: CertifiedIssuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A certificate chain without its root, the key of its leaf, and the root.
#[derive(Clone)]
pub struct Svid {
    /// The leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: Vec<u8>,
    /// What the chain leads to.
    pub root: CertificateDer<'static>,
}

impl Root {
    /// A new one for `example.org`.
    ///
    /// # Errors
    ///
    /// Where there is no key or no certificate to be had; so for all that follows.
    pub fn new() -> Result<Self, Failure> {
        let mut params = authority("root")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// A new intermediate, of a name that is its own.
    pub fn intermediate(&self, number: usize) -> Result<Intermediate, Failure> {
        let mut params = authority(&format!("intermediate {number}"))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate()?, &self.0)?;
        let root = self.0.der().clone();
        Ok(Intermediate { issuer, root })
    }
}

impl Intermediate {
    /// A new SVID with a key of its own.
    pub fn issue(&self, id: &str) -> Result<Svid, Failure> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial());
        params.distinguished_name = organization();
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::URI(id.try_into()?)];
        if id == SERVER {
            let name = SanType::DnsName(DIALLED.try_into()?);
            params.subject_alt_names.push(name);
        }
        let (not_before, not_after) = lifetime();
        (params.not_before, params.not_after) = (not_before, not_after);
        let leaf = params.signed_by(&key, &self.issuer)?;
        Ok(Svid {
            chain: vec![leaf.der().clone(), self.issuer.der().clone()],
            key: key.serialize_der(),
            root: self.root.clone(),
        })
    }
}

impl Svid {
    /// The key as rustls takes it.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// The chain in one piece.
    pub fn chain_der(&self) -> Vec<u8> {
        self.chain
            .iter()
            .map(AsRef::<[u8]>::as_ref)
            .collect::<Vec<_>>()
            .concat()
    }

    /// As the material of a source.
    pub fn material(&self) -> Material {
        Material::new(SvidMaterial::from_der(
            self.chain_der(),
            self.key.clone(),
            self.root.to_vec(),
        ))
    }

    /// Writes `chain.pem`, `key.pem` and `root.pem`.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), Failure> {
        let chain: String = self
            .chain
            .iter()
            .map(|der| encoded("CERTIFICATE", der))
            .collect();
        fs::write(directory.join("chain.pem"), chain)?;
        fs::write(directory.join("key.pem"), encoded("PRIVATE KEY", &self.key))?;
        fs::write(
            directory.join("root.pem"),
            encoded("CERTIFICATE", &self.root),
        )?;
        Ok(())
    }

    /// Reads what [`write`](Self::write) has written.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        use rustls_pki_types::pem::PemObject as _;
        let chain = CertificateDer::pem_file_iter(directory.join("chain.pem"))?
            .collect::<Result<_, _>>()?;
        let key = PrivatePkcs8KeyDer::from_pem_file(directory.join("key.pem"))?;
        let root = CertificateDer::from_pem_file(directory.join("root.pem"))?;
        Ok(Self {
            chain,
            key: key.secret_pkcs8_der().to_vec(),
            root,
        })
    }
}

fn authority(name: &str) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial());
    params.distinguished_name = organization();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![SanType::URI("spiffe://example.org".try_into()?)];
    (params.not_before, params.not_after) = lifetime();
    Ok(params)
}

fn organization() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "bench");
    name
}

/// Long enough for any bench, and longer than a source takes for nearly over.
fn lifetime() -> (time::OffsetDateTime, time::OffsetDateTime) {
    let now = time::OffsetDateTime::now_utc();
    (
        now - time::Duration::minutes(1),
        now + time::Duration::days(1),
    )
}

fn serial() -> SerialNumber {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0x11; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    SerialNumber::from_slice(&bytes)
}

fn encoded(label: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, der))
}
