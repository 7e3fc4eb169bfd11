//! A type of all the shapes that serde knows, and what is to become of a value of it in each codec.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rocket_dynamodb_sessions::Codec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Any {
    Plain,
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    F32(Single),
    F64(Double),
    Char(char),
    Text(String),
    Bytes(Bytes),
    Nothing(()),
    UnitStruct(UnitStruct),
    Newtype(Newtype),
    Pair(Box<Any>, Box<Any>),
    TupleStruct(TupleStruct),
    Fields {
        a: Box<Any>,
        b: Option<Box<Any>>,
    },
    Record(Record),
    Empty {},
    NoParts(),
    List(Vec<Any>),
    Option(Option<Box<Any>>),
    Twice(Option<Option<u8>>),
    Array([i16; 3]),
    Texts(BTreeMap<String, Any>),
    Numbers(BTreeMap<i64, Any>),
    Wide(BTreeMap<u128, u8>),
    Chars(BTreeMap<char, Any>),
    Bools(BTreeMap<bool, Any>),
    Enums(BTreeMap<Inner, Any>),
    Tuples(BTreeMap<(i8, String), Any>),
    ByteKeys(BTreeMap<Vec<u8>, Any>),
    Options(BTreeMap<Option<u8>, Any>),
    #[serde(rename = "")]
    NoName(u8),
    #[serde(rename = "ключ \"\\\n")]
    OddName(Inner),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Inner {
    One,
    Two,
    #[serde(rename = "")]
    Unnamed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnitStruct;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Newtype(pub(crate) Box<Any>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TupleStruct(Box<Any>, u8, Inner);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(rename = "ä/\u{0}\"")]
    value: Box<Any>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<Box<Any>>,
    #[serde(flatten)]
    flat: Flat,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flat {
    left: i32,
    right: Tagged,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(crate) enum Tagged {
    Small { n: u64 },
    Named { name: String, price: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Untagged {
    Flag(bool),
    Text(String),
    List(Vec<i64>),
}

/// Equal to the last bit; of NaN there is one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Double(pub(crate) f64);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Single(pub(crate) f32);

impl PartialEq for Double {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() || self.0.is_nan() && other.0.is_nan()
    }
}

impl PartialEq for Single {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() || self.0.is_nan() && other.0.is_nan()
    }
}

/// Written as serde's bytes, not as a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut parts: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = parts.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        // Not `byte_buf`: it is the visitor that is harder to please.
        deserializer.deserialize_bytes(Visitor)
    }
}

pub(crate) fn most_levels(codec: Codec) -> usize {
    match codec {
        Codec::Json => 127,
        Codec::Cbor => 200,
        _ => 30,
    }
}

impl Any {
    /// The values that lie in this one.
    fn parts(&mut self) -> Vec<&mut Any> {
        match self {
            Self::Newtype(Newtype(part)) | Self::TupleStruct(TupleStruct(part, ..)) => vec![part],
            Self::Pair(one, other) => vec![one, other],
            Self::Fields { a, b } | Self::Record(Record { value: a, skipped: b, .. }) => {
                std::iter::once(a).chain(b).map(|part| &mut **part).collect()
            }
            Self::List(parts) => parts.iter_mut().collect(),
            Self::Option(part) => part.iter_mut().map(|part| &mut **part).collect(),
            Self::Texts(map) => map.values_mut().collect(),
            Self::Numbers(map) => map.values_mut().collect(),
            Self::Chars(map) => map.values_mut().collect(),
            Self::Bools(map) => map.values_mut().collect(),
            Self::Enums(map) => map.values_mut().collect(),
            Self::Tuples(map) => map.values_mut().collect(),
            Self::ByteKeys(map) => map.values_mut().collect(),
            Self::Options(map) => map.values_mut().collect(),
            _ => vec![],
        }
    }

    /// The levels of lists and maps above the parts, and those of what has none.
    fn own_levels(&self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Newtype(_) | Self::Option(_) => 1,
            // What lies beside a part has at most two levels more; a codec's limit is met by the part, or by these.
            Self::Record(_) => 2,
            Self::Bool(_) | Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) | Self::I128(_) => 1,
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) | Self::U128(_) => 1,
            Self::F32(_) | Self::F64(_) | Self::Char(_) | Self::Text(_) | Self::Nothing(()) => 1,
            Self::UnitStruct(_) | Self::Twice(_) | Self::NoName(_) | Self::OddName(_) => 1,
            _ => 2,
        }
    }

    pub(crate) fn levels(&mut self) -> usize {
        let own = self.own_levels();
        let beside = if matches!(self, Self::Record(_)) { 1 } else { 0 };
        own + self.parts().into_iter().map(Self::levels).max().unwrap_or(0).max(beside)
    }

    /// What comes back of it, if it is taken; and why it is not, where there are reasons.
    pub(crate) fn judge(&mut self, codec: Codec) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if self.levels() > most_levels(codec) {
            reasons.push("levels");
        }
        self.judge_parts(codec, &mut reasons);
        reasons
    }

    fn judge_parts(&mut self, codec: Codec, reasons: &mut Vec<&'static str>) {
        let json = codec == Codec::Json;
        let native = codec == Codec::Native;
        match self {
            Self::F64(Double(number)) => {
                if codec != Codec::Cbor && !number.is_finite() {
                    reasons.push("no NaN and no infinity");
                } else if native && *number != 0.0 && !(1e-130..1e126).contains(&number.abs()) {
                    reasons.push("38 digits");
                } else if native && *number == 0.0 {
                    *number = 0.0;
                }
            }
            Self::F32(Single(number)) => {
                if codec != Codec::Cbor && !number.is_finite() {
                    reasons.push("no NaN and no infinity");
                } else if native && *number == 0.0 {
                    *number = 0.0;
                }
            }
            Self::I128(_) | Self::U128(_) if native => reasons.push("no integers of 128 bits"),
            Self::Tuples(map) if codec != Codec::Cbor && !map.is_empty() => reasons.push("no maps with such keys"),
            Self::ByteKeys(map) if codec != Codec::Cbor && !map.is_empty() => reasons.push("no maps with such keys"),
            Self::Options(map) if native && !map.is_empty() => reasons.push("no maps with such keys"),
            Self::Options(map) if json && map.contains_key(&None) => reasons.push("no maps with such keys"),
            Self::Texts(map) if native && map.contains_key("") => reasons.push("no empty names"),
            Self::Enums(map) if native && map.contains_key(&Inner::Unnamed) => reasons.push("no empty names"),
            Self::NoName(_) if native => reasons.push("no empty names"),
            // As the docs say: the two are written alike.
            Self::Twice(twice) => *twice = twice.flatten().map(Some),
            _ => {}
        }
        self.parts().into_iter().for_each(|part| part.judge_parts(codec, reasons));
    }
}

fn double() -> impl Strategy<Value = f64> {
    let special = prop::sample::select(vec![
        0.0,
        -0.0,
        1.0,
        -2.0,
        31.245_270_191_439_438,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        1e-130,
        9.9e125,
        1e126,
        1e21,
        1e-7,
        9_007_199_254_740_993.0,
    ]);
    prop_oneof![2 => special, 5 => any::<u64>().prop_map(f64::from_bits), 5 => -1e6..1e6_f64]
}

fn single() -> impl Strategy<Value = f32> {
    let special = prop::sample::select(vec![0.0, -0.0, 0.1, f32::NAN, f32::INFINITY, f32::MAX, f32::from_bits(1)]);
    prop_oneof![1 => special, 3 => any::<u32>().prop_map(f32::from_bits)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\PC{0,12}",
        1 => Just(String::new()),
        1 => prop::sample::select(vec!["\u{0}\"\\/\n\u{2028}", "😀é\u{301}", "true", "null", "12", "$text", "\u{feff}"])
            .prop_map(str::to_owned),
        // Longer than the buffers of most readers.
        1 => (1_u32..12_000).prop_map(|length| "ü".repeat(length as usize)),
    ]
}

fn leaf() -> impl Strategy<Value = Any> {
    let untagged = prop_oneof![
        any::<bool>().prop_map(Untagged::Flag),
        text().prop_map(Untagged::Text),
        vec(any::<i64>(), 0..3).prop_map(Untagged::List),
    ];
    let tagged = prop_oneof![
        any::<u64>().prop_map(|n| Tagged::Small { n }),
        (text(), -1e9..1e9_f64).prop_map(|(name, price)| Tagged::Named { name, price }),
    ];
    let flat = (any::<i32>(), tagged, btree_map("[a-k]{2,4}", untagged, 0..3)).prop_map(|(left, right, rest)| Flat {
        left,
        right,
        rest,
    });
    let record = (flat, any::<bool>()).prop_map(|(flat, skips)| {
        let skipped = (!skips).then(|| Box::new(Any::U8(7)));
        Any::Record(Record { value: Box::new(Any::Plain), skipped, flat })
    });
    let twice = prop_oneof![Just(None), Just(Some(None)), any::<u8>().prop_map(|n| Some(Some(n)))];
    let inner = prop::sample::select(vec![Inner::One, Inner::Two, Inner::Unnamed]);
    let numbers = prop_oneof![
        any::<i8>().prop_map(Any::I8),
        any::<i16>().prop_map(Any::I16),
        any::<i32>().prop_map(Any::I32),
        any::<i64>().prop_map(Any::I64),
        any::<u8>().prop_map(Any::U8),
        any::<u16>().prop_map(Any::U16),
        any::<u32>().prop_map(Any::U32),
        any::<u64>().prop_map(Any::U64),
        prop::sample::select(vec![i64::MIN, i64::MAX, -1]).prop_map(Any::I64),
        prop::sample::select(vec![u64::MAX, 10_000_000_000_000_000_000]).prop_map(Any::U64),
    ];
    let wide = prop_oneof![
        any::<i128>().prop_map(Any::I128),
        any::<u128>().prop_map(Any::U128),
        any::<i64>().prop_map(|n| Any::I128(n.into())),
        prop::sample::select(vec![i128::MIN, i128::MAX, -1 - i128::from(u64::MAX)]).prop_map(Any::I128),
        prop::sample::select(vec![u128::MAX, 5, u128::from(u64::MAX) + 1]).prop_map(Any::U128),
        btree_map(any::<u128>(), any::<u8>(), 0..3).prop_map(Any::Wide),
    ];
    prop_oneof![
        8 => numbers,
        1 => wide,
        4 => double().prop_map(|number| Any::F64(Double(number))),
        2 => single().prop_map(|number| Any::F32(Single(number))),
        1 => prop::sample::select(vec![Any::Plain, Any::Nothing(()), Any::UnitStruct(UnitStruct), Any::Empty {}, Any::NoParts()]),
        1 => any::<bool>().prop_map(Any::Bool),
        2 => any::<char>().prop_map(Any::Char),
        4 => text().prop_map(Any::Text),
        2 => vec(any::<u8>(), 0..40).prop_map(|bytes| Any::Bytes(Bytes(bytes))),
        1 => vec(any::<u8>(), 4_000..6_000).prop_map(|bytes| Any::Bytes(Bytes(bytes))),
        2 => record,
        1 => twice.prop_map(Any::Twice),
        1 => any::<[i16; 3]>().prop_map(Any::Array),
        1 => any::<u8>().prop_map(Any::NoName),
        1 => inner.prop_map(Any::OddName),
    ]
}

/// Values of few levels.
fn shallow() -> impl Strategy<Value = Any> {
    leaf().prop_recursive(4, 24, 4, |part| {
        let boxed = || part.clone().prop_map(Box::new);
        let inner = prop::sample::select(vec![Inner::One, Inner::Two, Inner::Unnamed]);
        let of = || 0..3_usize;
        prop_oneof![
            boxed().prop_map(|part| Any::Newtype(Newtype(part))),
            (boxed(), boxed()).prop_map(|(one, other)| Any::Pair(one, other)),
            (boxed(), any::<u8>(), inner.clone())
                .prop_map(|(part, n, inner)| Any::TupleStruct(TupleStruct(part, n, inner))),
            (boxed(), prop::option::of(boxed())).prop_map(|(a, b)| Any::Fields { a, b }),
            vec(part.clone(), 0..5).prop_map(Any::List),
            prop::option::of(boxed()).prop_map(Any::Option),
            btree_map(text(), part.clone(), of()).prop_map(Any::Texts),
            btree_map(any::<i64>(), part.clone(), of()).prop_map(Any::Numbers),
            btree_map(any::<char>(), part.clone(), of()).prop_map(Any::Chars),
            btree_map(any::<bool>(), part.clone(), of()).prop_map(Any::Bools),
            btree_map(inner, part.clone(), of()).prop_map(Any::Enums),
            btree_map((any::<i8>(), text()), part.clone(), of()).prop_map(Any::Tuples),
            btree_map(vec(any::<u8>(), 0..4), part.clone(), of()).prop_map(Any::ByteKeys),
            btree_map(any::<Option<u8>>(), part.clone(), of()).prop_map(Any::Options),
        ]
    })
}

/// Puts a value into so many others.
pub(crate) fn wrapped(value: Any, levels: usize, ways: &[u8]) -> Any {
    let (mut value, mut ways) = (value, ways.iter().cycle());
    for _ in 0..levels {
        let part = Box::new(value);
        value = match ways.next().map(|way| way % 5) {
            Some(0) => Any::List(vec![*part]),
            Some(1) => Any::Newtype(Newtype(part)),
            Some(2) => Any::Option(Some(part)),
            Some(3) => Any::Texts([("k".to_owned(), *part)].into()),
            _ => Any::Fields { a: part, b: None },
        };
    }
    value
}

/// Values of all shapes, some of them about as deep as the codecs go.
pub(crate) fn values() -> impl Strategy<Value = Any> {
    let deep = (leaf(), prop_oneof![10..20_usize, 55..70_usize, 90..210_usize], vec(any::<u8>(), 1..6));
    prop_oneof![
        12 => shallow(),
        1 => deep.prop_map(|(value, levels, ways)| wrapped(value, levels, &ways)),
    ]
}
