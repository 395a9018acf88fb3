//! Keys made for a test, and tokens signed with them, good ones and bad ones: octet by octet as RFC 7515 says, so that a
//! token can lie about itself.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use weir::policy::identity::JwtKey;

/// A key that signs.
pub(crate) enum Signer {
    Hs256(Vec<u8>),
    Rs256(Box<RsaKeyPair>),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn hs256(secret: &[u8]) -> Self {
        Signer::Hs256(secret.to_vec())
    }

    pub(crate) fn rs256() -> Self {
        Signer::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn es256() -> Self {
        Signer::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn eddsa() -> Self {
        Signer::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    /// What weir is given of it.
    pub(crate) fn public(&self) -> JwtKey {
        match self {
            Signer::Hs256(secret) => JwtKey::Secret(secret.clone().into()),
            Signer::Rs256(pair) => JwtKey::Rsa(pair.public_key().as_ref().into()),
            Signer::Es256(pair) => JwtKey::P256(pair.public_key().as_ref().into()),
            Signer::EdDsa(pair) => JwtKey::Ed25519(pair.public_key().as_ref().into()),
        }
    }

    /// Its public half as `SubjectPublicKeyInfo` in PEM (RFC 7468 §13), as a configuration names it.
    pub(crate) fn public_pem(&self) -> String {
        let der: Vec<u8> = match self {
            Signer::Hs256(_) => panic!("a shared secret has no public half"),
            Signer::Rs256(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Signer::Es256(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Signer::EdDsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    pub(crate) const fn algorithm(&self) -> &'static str {
        match self {
            Signer::Hs256(_) => "HS256",
            Signer::Rs256(_) => "RS256",
            Signer::Es256(_) => "ES256",
            Signer::EdDsa(_) => "EdDSA",
        }
    }

    /// A token that says of itself what is true.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&serde_json::json!({ "alg": self.algorithm(), "typ": "JWT" }), claims)
    }

    /// A token with any header.
    pub(crate) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = match self {
            Signer::Hs256(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            Signer::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Signer::Es256(pair) => {
                let signed: signature::Signature =
                    pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
                signed.as_ref().to_vec()
            }
            Signer::EdDsa(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
