//! The codec `cbor` (RFC 8949): NaN, bytes, maps with any keys, and fewer bytes than JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use ciborium::Value as Item;
use ciborium_ll::{Decoder, Header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::bytes::Bytes;
use crate::domain::codec::strict;
use crate::domain::codec::watch::Rules;
use crate::domain::problem::Problem;
use crate::domain::text::Text;
use crate::domain::tree::{CborScalar, Scalar as Leaf, Tree};

const NAME: &str = "cbor";

/// ciborium reads 256 levels, the names of enums' variants counted.
const RULES: Rules = Rules { codec: NAME, levels: 200, not_finite: true, wide: true, any_keys: true, counts: true };

/// Writes a value.
pub(crate) fn encode_value<T>(value: &T) -> Result<Vec<u8>, Problem>
where
    T: Serialize + ?Sized,
{
    let mut bytes = Vec::new();
    strict::write(RULES, value, |value| ciborium::into_writer(value, &mut bytes))?;
    // A broken value would break its row.
    if item(&bytes, 0) == Some(bytes.len()) { Ok(bytes) } else { Err(Problem::Unwritable) }
}

pub(crate) fn decode_value<T>(bytes: &[u8]) -> Result<T, Problem>
where
    T: DeserializeOwned,
{
    read(bytes).map_err(|error| match error {
        ciborium::de::Error::Semantic(_, text) => Problem::misfit(&text),
        _ => Problem::Misfit { expected: None },
    })
}

/// Reads with as much room as there are bytes: ciborium has no text or bytes for a visitor that wants them in one piece where
/// they are longer than its buffer of 4 KB.
fn read<T>(bytes: &[u8]) -> Result<T, ciborium::de::Error<std::io::Error>>
where
    T: DeserializeOwned,
{
    let (mut small, mut large) = ([0; 256], Vec::new());
    let room = if bytes.len() <= small.len() {
        &mut small[..]
    } else {
        large.resize(bytes.len(), 0);
        &mut large
    };
    ciborium::de::from_reader_with_buffer(bytes, room)
}

/// Writes keys and values as one map; values go in as they are.
pub(crate) fn join<'a>(entries: impl Iterator<Item = (&'a Text, &'a [u8])>) -> Vec<u8> {
    let entries: Vec<_> = entries.collect();
    let mut bytes =
        Vec::with_capacity(entries.iter().map(|(key, value)| key.len() + value.len() + 9).sum::<usize>() + 9);
    let mut encoder = ciborium_ll::Encoder::from(&mut bytes);
    encoder.push(Header::Map(Some(entries.len()))).expect("a vector takes all");
    for (key, value) in entries {
        ciborium_ll::Encoder::from(&mut bytes).text(key, None).expect("a vector takes all");
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Splits a map into keys and values, which share its bytes.
pub(crate) fn split(bytes: Vec<u8>) -> Result<Vec<(Text, Bytes)>, String> {
    let whole: Arc<[u8]> = bytes.into();
    let broken = || "`data` is not CBOR".to_owned();
    let (header, mut at) = header(&whole, 0).ok_or_else(broken)?;
    let Header::Map(count) = header else { return Err("`data` is CBOR, but no map".into()) };
    let mut entries = Vec::new();
    while count.is_none_or(|count| entries.len() < count) {
        if count.is_none() && self::header(&whole, at).is_some_and(|(header, _)| header == Header::Break) {
            at += 1;
            break;
        }
        let end = item(&whole, at).ok_or_else(broken)?;
        let key: String = read(&whole[at..end]).map_err(|_| "`data` has a key that is no text".to_owned())?;
        let next = item(&whole, end).ok_or_else(broken)?;
        entries.push((Text::from(key), Bytes::part(&whole, end..next)));
        at = next;
    }
    if at == whole.len() { Ok(entries) } else { Err(broken()) }
}

/// Reads the header of an item, and where it ends.
fn header(bytes: &[u8], at: usize) -> Option<(Header, usize)> {
    let mut decoder = Decoder::from(bytes.get(at..)?);
    let header = decoder.pull().ok()?;
    Some((header, at + decoder.offset()))
}

/// What is left of the items around the one that is looked at.
enum Left {
    Items(usize),
    UntilBreak,
}

/// Finds where an item ends, whatever the depth: nothing is parsed, and nothing recurses.
fn item(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut left = vec![Left::Items(1)];
    while let Some(top) = left.last_mut() {
        match top {
            Left::Items(0) => {
                left.pop();
                continue;
            }
            Left::Items(count) => *count -= 1,
            Left::UntilBreak => {}
        }
        let (header, end) = header(bytes, at)?;
        at = end;
        let below = match header {
            Header::Break => {
                let Some(Left::UntilBreak) = left.pop() else { return None };
                continue;
            }
            Header::Bytes(Some(length)) | Header::Text(Some(length)) => {
                at = at.checked_add(length).filter(|end| *end <= bytes.len())?;
                continue;
            }
            Header::Bytes(None) | Header::Text(None) | Header::Array(None) | Header::Map(None) => Left::UntilBreak,
            Header::Array(Some(count)) => Left::Items(count),
            Header::Map(Some(count)) => Left::Items(count.checked_mul(2)?),
            Header::Tag(_) => Left::Items(1),
            Header::Positive(_) | Header::Negative(_) | Header::Float(_) | Header::Simple(_) => continue,
        };
        left.push(below);
    }
    Some(at)
}

/// Takes a value apart; one that ciborium does not read, as for its depth, is `None`.
pub(crate) fn tree(bytes: &[u8]) -> Option<Tree> {
    Some(taken_apart(read(bytes).ok()?))
}

fn taken_apart(item: Item) -> Tree {
    match item {
        Item::Array(parts) => Tree::List(parts.into_iter().map(taken_apart).collect()),
        Item::Map(parts) => {
            let key = |key: &Item| {
                let mut bytes = Vec::new();
                ciborium::into_writer(key, &mut bytes).expect("a vector takes all");
                bytes
            };
            let parts: BTreeMap<_, _> = parts.into_iter().map(|(k, part)| (key(&k), taken_apart(part))).collect();
            Tree::Object(parts)
        }
        item => Tree::Scalar(Leaf::Cbor(CborScalar(item))),
    }
}

/// Writes what was taken apart.
pub(crate) fn write(tree: &Tree) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    ciborium::into_writer(&put_together(tree)?, &mut bytes).ok()?;
    Some(bytes)
}

fn put_together(tree: &Tree) -> Option<Item> {
    Some(match tree {
        Tree::Scalar(Leaf::Cbor(scalar)) => scalar.0.clone(),
        Tree::Scalar(_) => return None,
        Tree::List(parts) => Item::Array(parts.iter().map(put_together).collect::<Option<_>>()?),
        Tree::Object(parts) => {
            let parts = parts.iter().map(|(key, part)| Some((read(key).ok()?, put_together(part)?)));
            Item::Map(parts.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<T: Serialize>(value: T) -> Vec<u8> {
        encode_value(&value).expect("CBOR")
    }

    fn joined(entries: &[(Text, Vec<u8>)]) -> Vec<u8> {
        join(entries.iter().map(|(key, value)| (key, &value[..])))
    }

    #[test]
    fn data_survives_its_bytes() {
        let entries = [
            (Text::from("a"), value(vec![Some(1.5), None])),
            (Text::from("ü"), value(f64::NAN)),
            (Text::from(""), value(BTreeMap::from([((1, 2), "x")]))),
        ];
        let again = split(joined(&entries)).expect("CBOR");
        assert!(again.iter().zip(&entries).all(|((k, v), (key, value))| k == key && **v == value[..]));
        assert!(split(joined(&[])).expect("CBOR").is_empty());
    }

    #[test]
    fn a_map_of_no_stated_length_is_read() {
        // {_ "a": [_ 1, 2], "b": (_ h'00', h'01')}
        let bytes = vec![0xbf, 0x61, b'a', 0x9f, 1, 2, 0xff, 0x61, b'b', 0x5f, 0x41, 0, 0x41, 1, 0xff, 0xff];
        let entries = split(bytes).expect("CBOR");
        assert_eq!(entries.iter().map(|(key, _)| key.as_str().to_owned()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(decode_value::<Vec<u8>>(&entries[0].1), Ok(vec![1, 2]));
    }

    #[test]
    fn broken_bytes_are_told_and_no_depth_exhausts_the_stack() {
        for bytes in
            [vec![], vec![0xa1], vec![0xa1, 0x61, b'a'], vec![0xa0, 0], vec![0xbf], vec![0xa1, 1, 1], vec![0x01]]
        {
            assert!(split(bytes.clone()).is_err(), "{bytes:?}");
        }
        // Lengths that lie.
        assert!(split(vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(split(vec![0xa1, 0x61, b'a', 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        let mut deep = vec![0xa1, 0x61, b'a'];
        deep.extend(std::iter::repeat_n(0x81, 100_000));
        deep.push(1);
        let entries = split(deep).expect("CBOR");
        assert!(tree(&entries[0].1).is_none());
    }
}
