//! Certificates that differ from good ones in one thing.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, string::Ia5String,
};
use spiffe_peer::parse;
use spiffe_verify::X509Bundle;

pub(crate) const TD: &str = "example.org";
pub(crate) const PARTNER: &str = "partner.test";

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn san_uri(uri: &str) -> SanType {
    SanType::URI(Ia5String::try_from(uri).unwrap())
}

pub(crate) fn san_dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).unwrap())
}

pub(crate) struct Leaf(CertificateParams);

impl Leaf {
    pub(crate) fn new(id: &str) -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "workload");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.is_ca = IsCa::ExplicitNoCa;
        let now = SystemTime::now();
        Self(params)
            .names([san_uri(id)])
            .valid(now - HOUR, now + HOUR)
    }

    pub(crate) fn names(mut self, names: impl IntoIterator<Item = SanType>) -> Self {
        self.0.subject_alt_names = names.into_iter().collect();
        self
    }

    pub(crate) fn valid(mut self, from: SystemTime, to: SystemTime) -> Self {
        (self.0.not_before, self.0.not_after) = (from.into(), to.into());
        self
    }

    pub(crate) fn authority(mut self, is_ca: IsCa) -> Self {
        self.0.is_ca = is_ca;
        self
    }

    pub(crate) fn usages(mut self, usages: Vec<KeyUsagePurpose>) -> Self {
        self.0.key_usages = usages;
        self
    }

    pub(crate) fn extended(mut self, usages: Vec<ExtendedKeyUsagePurpose>) -> Self {
        self.0.extended_key_usages = usages;
        self
    }
}

/// A root and an intermediate of one trust domain.
pub(crate) struct Authority {
    trust_domain: &'static str,
    root: Vec<u8>,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(trust_domain: &'static str) -> Self {
        let now = SystemTime::now();
        Self::valid(trust_domain, now - HOUR, now + 24 * HOUR)
    }

    pub(crate) fn valid(trust_domain: &'static str, from: SystemTime, to: SystemTime) -> Self {
        Self::make(
            trust_domain,
            (from, to),
            (from, to),
            ca(),
            vec![KeyUsagePurpose::KeyCertSign],
        )
    }

    pub(crate) fn with_root_valid(
        trust_domain: &'static str,
        from: SystemTime,
        to: SystemTime,
    ) -> Self {
        let now = SystemTime::now();
        Self::make(
            trust_domain,
            (from, to),
            (now - 24 * HOUR, now + 24 * HOUR),
            ca(),
            vec![KeyUsagePurpose::KeyCertSign],
        )
    }

    pub(crate) fn with_intermediate(
        trust_domain: &'static str,
        is_ca: IsCa,
        usages: Vec<KeyUsagePurpose>,
    ) -> Self {
        let now = SystemTime::now();
        let valid = (now - HOUR, now + 24 * HOUR);
        Self::make(trust_domain, valid, valid, is_ca, usages)
    }

    fn make(
        trust_domain: &'static str,
        root_valid: (SystemTime, SystemTime),
        intermediate_valid: (SystemTime, SystemTime),
        is_ca: IsCa,
        usages: Vec<KeyUsagePurpose>,
    ) -> Self {
        let params = |name: &str, valid: (SystemTime, SystemTime), is_ca, usages| {
            let mut params = CertificateParams::default();
            params
                .distinguished_name
                .push(DnType::OrganizationName, trust_domain);
            params.distinguished_name.push(DnType::CommonName, name);
            (params.not_before, params.not_after) = (valid.0.into(), valid.1.into());
            (params.is_ca, params.key_usages) = (is_ca, usages);
            params
        };
        let root_key = KeyPair::generate().unwrap();
        let root = params("root", root_valid, ca(), vec![KeyUsagePurpose::KeyCertSign]);
        let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
        let root = Issuer::new(root, root_key);
        let key = KeyPair::generate().unwrap();
        let intermediate = params("intermediate", intermediate_valid, is_ca, usages);
        let intermediate_der = intermediate.signed_by(&key, &root).unwrap().der().to_vec();
        Self {
            trust_domain,
            root: root_der,
            intermediate: intermediate_der,
            issuer: Issuer::new(intermediate, key),
        }
    }

    pub(crate) fn issue(&self, leaf: &Leaf) -> Vec<Vec<u8>> {
        let leaf = leaf
            .0
            .signed_by(&KeyPair::generate().unwrap(), &self.issuer)
            .unwrap();
        vec![leaf.der().to_vec(), self.intermediate.clone()]
    }

    pub(crate) fn bundle(&self) -> X509Bundle {
        X509Bundle::from_der(parse::trust_domain(self.trust_domain).unwrap(), &self.root).unwrap()
    }

    pub(crate) fn root_der(&self) -> Vec<u8> {
        self.root.clone()
    }
}

fn ca() -> IsCa {
    IsCa::Ca(BasicConstraints::Unconstrained)
}

/// Certificates built one by one, for chains that [`Authority`] rightly does not make.
pub(crate) struct Signer {
    pub(crate) params: CertificateParams,
    pub(crate) key: Vec<u8>,
}

impl Signer {
    pub(crate) fn new(name: &str) -> Self {
        Self::with_key(name, &KeyPair::generate().unwrap().serialize_der())
    }

    pub(crate) fn with_key(name: &str, key: &[u8]) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = ca();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let now = SystemTime::now();
        (params.not_before, params.not_after) = ((now - HOUR).into(), (now + 24 * HOUR).into());
        Self {
            params,
            key: key.to_vec(),
        }
    }

    fn pair(&self) -> KeyPair {
        KeyPair::try_from(self.key.as_slice()).unwrap()
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        self.params
            .self_signed(&self.pair())
            .unwrap()
            .der()
            .to_vec()
    }

    pub(crate) fn signed_by(&self, issuer: &Self) -> Vec<u8> {
        let issuer = Issuer::new(issuer.params.clone(), issuer.pair());
        let signed = self.params.signed_by(&self.pair(), &issuer);
        signed.unwrap().der().to_vec()
    }

    pub(crate) fn leaf(&self, leaf: &Leaf) -> Vec<u8> {
        let issuer = Issuer::new(self.params.clone(), self.pair());
        let key = KeyPair::generate().unwrap();
        leaf.0.signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    /// A leaf with the name and the key of its issuer.
    pub(crate) fn leaf_like_itself(&self, leaf: Leaf) -> Vec<u8> {
        let issuer = Issuer::new(self.params.clone(), self.pair());
        let mut leaf = leaf.0;
        leaf.distinguished_name = self.params.distinguished_name.clone();
        leaf.signed_by(&self.pair(), &issuer)
            .unwrap()
            .der()
            .to_vec()
    }
}
