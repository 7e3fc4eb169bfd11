//! Sealing: XChaCha20-Poly1305, bound to the row key, so that a sealed value opens in no other row.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::domain::id::{RowKey, random_bytes};

/// A nonce's bytes: enough to be drawn at random for each write.
const NONCE: usize = 24;

/// The keys: the first seals, all open, so that keys can be rotated.
#[derive(Clone)]
pub(crate) struct Seal(Vec<XChaCha20Poly1305>);

impl Seal {
    pub(crate) fn new(keys: &[[u8; 32]]) -> Self {
        Self(keys.iter().map(|key| XChaCha20Poly1305::new(key.into())).collect())
    }

    /// Seals bytes for a row that says `word` of how they were written: a fresh nonce, then the sealed bytes.
    pub(crate) fn close(&self, plain: &[u8], key: &RowKey, word: &str) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE] = random_bytes();
        let bound = bound(key, word);
        let sealed = self.0.first()?.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &bound }).ok()?;
        Some([&nonce[..], &sealed].concat())
    }

    pub(crate) fn open(&self, sealed: &[u8], key: &RowKey, word: &str) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let bound = bound(key, word);
        self.0
            .iter()
            .find_map(|cipher| cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &bound }).ok())
    }
}

fn bound(key: &RowKey, word: &str) -> Vec<u8> {
    [key.as_str().as_bytes(), &[0], word.as_bytes()].concat()
}

/// Keys are not shown.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({} keys)", self.0.len())
    }
}
