//! What makes a certificate chain or a token a SPIFFE identity.
