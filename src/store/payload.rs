//! The attribute `data`: the encoded data of a session, compressed and sealed as the configuration says.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::codec::{Codec, Encoded};
use crate::domain::data::Data;
use crate::domain::id::RowKey;
use crate::error::Error;
#[cfg(feature = "encrypt")]
use crate::store::seal::Seal;

/// The most bytes that data has before it is compressed and after it is decompressed: a bomb in the table is no memory.
#[cfg(feature = "zstd")]
const MOST_BYTES: usize = 1 << MOST_BYTES_LOG;
#[cfg(feature = "zstd")]
const MOST_BYTES_LOG: u32 = 22;

/// What stands in `codec` behind the codec's own name.
const COMPRESSED: &str = "zstd";
const SEALED: &str = "sealed";

/// How data is put into rows.
#[derive(Clone, Debug)]
pub(crate) struct Payloads {
    /// How new sessions are encoded.
    pub(crate) codec: Codec,
    /// Data of more bytes is compressed, where that pays.
    #[cfg(feature = "zstd")]
    pub(crate) compress_above: Option<usize>,
    /// Seals data, where there are keys.
    #[cfg(feature = "encrypt")]
    pub(crate) seal: Option<Seal>,
}

/// The attribute, and what its row says of how it was written: nothing where it is plain JSON.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) value: AttributeValue,
    pub(crate) word: Option<String>,
}

/// Why an attribute is not read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unread {
    /// It is broken: the row is reported and left alone.
    Undecodable(String),
    /// A node with other features or of another version wrote it, and can read it.
    Unknown(String),
}

impl Payloads {
    /// Plain JSON, as where nothing is configured.
    #[cfg(test)]
    pub(crate) const JSON: Self = Self {
        codec: Codec::Json,
        #[cfg(feature = "zstd")]
        compress_above: None,
        #[cfg(feature = "encrypt")]
        seal: None,
    };

    pub(crate) fn write(&self, key: &RowKey, codec: Codec, data: &Data) -> Result<Payload, Error> {
        let mut word = codec.name().to_owned();
        let value = match data.join(codec) {
            Encoded::Text(text) => match self.shrink(text.into_bytes(), &mut word)? {
                // Neither compressed nor sealed, it stays the text that the Flask package writes.
                bytes if word == "json" => {
                    let text = String::from_utf8(bytes).expect("it was a text");
                    return Ok(Payload { value: AttributeValue::S(text), word: None });
                }
                bytes => self.seal(key, bytes, &mut word)?,
            },
            Encoded::Bytes(bytes) => {
                let bytes = self.shrink(bytes, &mut word)?;
                self.seal(key, bytes, &mut word)?
            }
            #[cfg(feature = "native")]
            Encoded::Map(map) => AttributeValue::M(map.into_iter().map(|(key, value)| (key, value.into())).collect()),
        };
        Ok(Payload { value, word: Some(word) })
    }

    /// Compresses what is large, where that pays; and notes that it will be sealed, so that the word stands in the seal.
    fn shrink(&self, bytes: Vec<u8>, word: &mut String) -> Result<Vec<u8>, Error> {
        let bytes = self.compressed(bytes, word)?;
        #[cfg(feature = "encrypt")]
        if self.seal.is_some() {
            word.push('+');
            word.push_str(SEALED);
        }
        Ok(bytes)
    }

    #[cfg(feature = "zstd")]
    fn compressed(&self, bytes: Vec<u8>, word: &mut String) -> Result<Vec<u8>, Error> {
        if self.compress_above.is_none_or(|most| bytes.len() <= most) {
            return Ok(bytes);
        }
        if bytes.len() > MOST_BYTES {
            return Err(Error::TooLarge { size: bytes.len(), limit: MOST_BYTES });
        }
        let small = zstd::bulk::compress(&bytes, zstd::DEFAULT_COMPRESSION_LEVEL);
        let small = small.map_err(|error| Error::unavailable("compress", error))?;
        if small.len() >= bytes.len() {
            return Ok(bytes);
        }
        word.push('+');
        word.push_str(COMPRESSED);
        Ok(small)
    }

    #[cfg(not(feature = "zstd"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, clippy::ptr_arg, reason = "as with the feature")]
    fn compressed(&self, bytes: Vec<u8>, _: &mut String) -> Result<Vec<u8>, Error> {
        Ok(bytes)
    }

    #[cfg_attr(not(feature = "encrypt"), allow(clippy::unused_self, clippy::unnecessary_wraps, unused_variables))]
    fn seal(&self, key: &RowKey, bytes: Vec<u8>, word: &mut str) -> Result<AttributeValue, Error> {
        #[cfg(feature = "encrypt")]
        if let Some(seal) = &self.seal {
            let sealed = seal
                .close(&bytes, key, word)
                .ok_or(Error::TooLarge { size: bytes.len(), limit: crate::store::item::ITEM_LIMIT })?;
            return Ok(AttributeValue::B(Blob::new(sealed)));
        }
        Ok(AttributeValue::B(Blob::new(bytes)))
    }

    /// Reads the attribute; `word` is what the row says of how it was written.
    pub(crate) fn read(
        &self,
        key: &RowKey,
        word: Option<&str>,
        value: AttributeValue,
    ) -> Result<(Codec, Data), Unread> {
        let whole = word.unwrap_or("json");
        let (name, ways) = whole.split_once('+').unwrap_or((whole, ""));
        let codec = codec_of(name).ok_or_else(|| Unread::Unknown(name.to_owned()))?;
        let mut encoded = match value {
            AttributeValue::S(text) => Encoded::Text(text),
            AttributeValue::B(bytes) => Encoded::Bytes(bytes.into_inner()),
            #[cfg(feature = "native")]
            AttributeValue::M(map) => Encoded::Map(map.into_iter().map(|(key, value)| (key, value.into())).collect()),
            _ => return Err(Unread::Undecodable(misplaced(codec))),
        };
        if codec == Codec::Json && ways.is_empty() && !matches!(encoded, Encoded::Text(_)) {
            return Err(Unread::Undecodable(misplaced(codec)));
        }
        for way in ways.split('+').filter(|way| !way.is_empty()).rev() {
            let Encoded::Bytes(bytes) = encoded else {
                return Err(Unread::Undecodable("`data` is no binary".into()));
            };
            encoded = Encoded::Bytes(match way {
                COMPRESSED => decompressed(&bytes)?,
                SEALED => self.opened(&bytes, key, whole)?,
                way => return Err(Unread::Unknown(way.to_owned())),
            });
        }
        Data::split(codec, encoded).map(|data| (codec, data)).map_err(Unread::Undecodable)
    }

    #[cfg(feature = "encrypt")]
    fn opened(&self, bytes: &[u8], key: &RowKey, word: &str) -> Result<Vec<u8>, Unread> {
        let opened = self.seal.as_ref().and_then(|seal| seal.open(bytes, key, word));
        opened.ok_or_else(|| {
            Unread::Undecodable("`data` is sealed with an unknown key, for another row, or was changed".into())
        })
    }

    #[cfg(not(feature = "encrypt"))]
    #[allow(clippy::unused_self, reason = "as with the feature")]
    fn opened(&self, _: &[u8], _: &RowKey, _: &str) -> Result<Vec<u8>, Unread> {
        Err(Unread::Unknown(SEALED.to_owned()))
    }
}

/// What is wrong with an attribute of another type than the codec's.
fn misplaced(codec: Codec) -> String {
    match codec {
        Codec::Json => "`data` is no string".to_owned(),
        #[allow(unreachable_patterns, reason = "with one codec there are no others")]
        codec => format!("`data` is not as the codec `{}` writes it", codec.name()),
    }
}

fn codec_of(name: &str) -> Option<Codec> {
    match name {
        "json" => Some(Codec::Json),
        #[cfg(feature = "cbor")]
        "cbor" => Some(Codec::Cbor),
        #[cfg(feature = "native")]
        "native" => Some(Codec::Native),
        _ => None,
    }
}

/// The feature of this crate that reads what a row calls so, where there is one.
pub(crate) fn feature_of(word: &str) -> Option<&'static str> {
    match word {
        "cbor" => Some("cbor"),
        "native" => Some("native"),
        COMPRESSED => Some("zstd"),
        SEALED => Some("encrypt"),
        _ => None,
    }
}

#[cfg(feature = "zstd")]
fn decompressed(bytes: &[u8]) -> Result<Vec<u8>, Unread> {
    use std::io::Read;

    let broken = || Unread::Undecodable("`data` cannot be decompressed".into());
    // Read up to the limit: what a frame says of its own size is not believed.
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| broken())?;
    // Nor what it says of the room that it needs: up to 128 MB.
    decoder.window_log_max(MOST_BYTES_LOG).map_err(|_| broken())?;
    let mut plain = Vec::new();
    decoder.take(MOST_BYTES as u64 + 1).read_to_end(&mut plain).map_err(|_| broken())?;
    if plain.len() > MOST_BYTES {
        return Err(Unread::Undecodable(format!("`data` decompresses to more than {MOST_BYTES} bytes")));
    }
    Ok(plain)
}

#[cfg(not(feature = "zstd"))]
fn decompressed(_: &[u8]) -> Result<Vec<u8>, Unread> {
    Err(Unread::Unknown(COMPRESSED.to_owned()))
}

#[cfg(all(test, feature = "cbor", feature = "native", feature = "zstd", feature = "encrypt"))]
mod tests {
    use super::*;
    use crate::domain::text::Text;
    use crate::domain::value::Value;

    fn payloads(compress_above: Option<usize>, keys: &[u8]) -> Payloads {
        let keys: Vec<[u8; 32]> = keys.iter().map(|byte| [*byte; 32]).collect();
        Payloads { codec: Codec::Json, compress_above, seal: (!keys.is_empty()).then(|| Seal::new(&keys)) }
    }

    fn data(codec: Codec, text: &str) -> Data {
        let value = |text: &str| Value::encode(codec, text).expect("a text");
        Data::new(vec![(Text::from("a"), value(text)), (Text::from("b"), value("x"))])
    }

    fn key(text: &str) -> RowKey {
        RowKey::stored(text)
    }

    fn value_of(text: &str) -> Value {
        Value::encode(Codec::Json, text).expect("a text")
    }

    #[test]
    fn every_way_of_writing_is_read_back() {
        let long = "abc".repeat(1000);
        for (compress, keys) in
            [(None, &[][..]), (Some(100), &[]), (None, &[1]), (Some(100), &[1, 2]), (Some(9999), &[])]
        {
            for codec in [Codec::Json, Codec::Cbor, Codec::Native] {
                let payloads = payloads(compress, keys);
                let data = data(codec, &long);
                let Payload { value, word } = payloads.write(&key("a"), codec, &data).expect("it is written");
                let ways = [(compress == Some(100), "+zstd"), (!keys.is_empty(), "+sealed")];
                let ways: String =
                    ways.into_iter().filter(|(on, _)| *on && codec != Codec::Native).map(|(_, w)| w).collect();
                let expected = format!("{}{ways}", codec.name());
                assert_eq!(word.as_deref(), Some(&*expected).filter(|word| *word != "json"));
                let (as_read, again) = payloads.read(&key("a"), word.as_deref(), value).expect("it is read");
                assert!(as_read == codec && again == data, "{expected}");
            }
        }
    }

    #[test]
    fn what_does_not_pay_is_not_compressed() {
        let noise: String = (0..64).map(|_| crate::domain::token::Token::random().text()).collect();
        let data = data(Codec::Json, &noise[..16]);
        let Payload { value, word } = payloads(Some(1), &[]).write(&key("a"), Codec::Json, &data).expect("written");
        assert!(word.is_none() && value.is_s());
    }

    #[test]
    fn a_sealed_value_opens_in_its_own_row_unchanged_and_with_its_key_alone() {
        let data = data(Codec::Json, "secret");
        let Payload { value, word } = payloads(None, &[1]).write(&key("a"), Codec::Json, &data).expect("written");
        let AttributeValue::B(sealed) = &value else { panic!("bytes") };
        let sealed = sealed.as_ref();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        let read = |keys: &[u8], row: &str, word: &str, bytes: &[u8]| {
            payloads(None, keys).read(&key(row), Some(word), AttributeValue::B(Blob::new(bytes))).map(|(_, data)| data)
        };
        let word = word.expect("it is sealed");
        assert!(read(&[1], "a", &word, sealed) == Ok(data.clone()));
        // The first key seals, all open.
        assert!(read(&[2, 1], "a", &word, sealed) == Ok(data));
        let broken =
            Err(Unread::Undecodable("`data` is sealed with an unknown key, for another row, or was changed".into()));
        assert!(read(&[2], "a", &word, sealed) == broken);
        assert!(read(&[], "a", &word, sealed) == broken);
        assert!(read(&[1], "b", &word, sealed) == broken);
        assert!(read(&[1], "a", "cbor+sealed", sealed) == broken, "the codec is sealed too");
        for end in 0..sealed.len() {
            assert!(read(&[1], "a", &word, &sealed[..end]) == broken, "cut at {end}");
        }
        for at in 0..sealed.len() {
            let mut flipped = sealed.to_vec();
            flipped[at] ^= 1;
            assert!(read(&[1], "a", &word, &flipped) == broken, "flipped at {at}");
        }
    }

    #[test]
    fn a_decompression_bomb_is_an_undecodable_row() {
        use std::io::Read;

        let bomb = zstd::stream::encode_all(std::io::repeat(b' ').take(64 << 20), 1).expect("compressed");
        assert!(bomb.len() < 10_000);
        let read = |bytes: Vec<u8>| {
            payloads(None, &[]).read(&key("a"), Some("json+zstd"), AttributeValue::B(Blob::new(bytes)))
        };
        let said = |read: Result<_, Unread>| match read {
            Err(Unread::Undecodable(reason)) => reason,
            _ => panic!("a bomb"),
        };
        assert!(said(read(bomb)).contains("more than 4194304 bytes"));
        // Many frames, one after the other; and one that wants a window of 128 MB.
        let frame = zstd::bulk::compress(&vec![b' '; 1024 * 1024], 19).expect("compressed");
        assert!(said(read(frame.repeat(5))).contains("more than 4194304 bytes"));
        let mut wide = vec![];
        let mut encoder = zstd::stream::write::Encoder::new(&mut wide, 1).expect("an encoder");
        encoder.window_log(27).expect("a window");
        std::io::Write::write_all(&mut encoder, b"{}").expect("written");
        std::io::Write::flush(&mut encoder).expect("written");
        encoder.finish().expect("written");
        assert_eq!(said(read(wide)), "`data` cannot be decompressed");
        // The largest that is written is read.
        let text = "x".repeat(MOST_BYTES - 10);
        let (payloads, data) = (payloads(Some(1), &[]), Data::new(vec![(Text::from("a"), value_of(&text))]));
        let Payload { value, word } = payloads.write(&key("a"), Codec::Json, &data).expect("written");
        assert!(payloads.read(&key("a"), word.as_deref(), value).is_ok_and(|(_, read)| read == data));
    }

    #[test]
    fn what_this_build_does_not_know_is_no_broken_row() {
        let read = |word: &str| payloads(None, &[]).read(&key("a"), Some(word), AttributeValue::B(Blob::new(vec![1])));
        assert!(matches!(read("msgpack"), Err(Unread::Unknown(name)) if name == "msgpack"));
        assert!(matches!(read("json+lz4"), Err(Unread::Unknown(name)) if name == "lz4"));
        assert_eq!((feature_of("zstd"), feature_of("lz4")), (Some("zstd"), None));
    }
}
