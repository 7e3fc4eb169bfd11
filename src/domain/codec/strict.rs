//! A serializer in front of a codec's own that refuses what could not be read back: serde_json writes NaN as `null`, and all
//! write more levels than they read.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::domain::codec::key::Key;
use crate::domain::codec::watch::{Parts, Rules, Watch};
use crate::domain::problem::Problem;

/// Has a codec write a value, or says why it could not be read back.
pub(super) fn write<T, O, E>(
    rules: Rules,
    value: &T,
    codec: impl FnOnce(&Strict<'_, &T>) -> Result<O, E>,
) -> Result<O, Problem>
where
    T: Serialize + ?Sized,
{
    let watch = Watch::new(rules);
    let written = codec(&Strict { inner: value, watch: &watch });
    written.map_err(|_| watch.reason().unwrap_or(Problem::Unwritable))
}

/// A serializer, or a value on its way into one.
pub(super) struct Strict<'a, T> {
    inner: T,
    watch: &'a Watch,
}

impl<'a, T> Strict<'a, T> {
    fn value<'v, V: ?Sized>(&self, value: &'v V) -> Strict<'a, &'v V> {
        Strict { inner: value, watch: self.watch }
    }
}

impl<T> Serialize for Strict<'_, &T>
where
    T: Serialize + ?Sized,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let watch = self.watch;
        watch.call(|| self.inner.serialize(Strict { inner: serializer, watch }))
    }
}

/// What has parts, while they are written.
pub(super) struct Compound<'a, T> {
    inner: T,
    watch: &'a Watch,
    parts: Parts,
    levels: usize,
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $of:ty),*)),+ $(,)?) => {
        $(fn $method(self, $($arg: $of),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($arg),*)
        })+
    };
}

macro_rules! check {
    ($($method:ident($value:ident: $of:ty): $check:ident($($of_it:expr)?)),+ $(,)?) => {
        $(fn $method(self, $value: $of) -> Result<S::Ok, S::Error> {
            self.watch.$check($($of_it)?)?;
            self.inner.$method($value)
        })+
    };
}

macro_rules! compound {
    ($($method:ident($($arg:ident: $of:ty),*): $part:ident, $levels:literal, $said:expr),+ $(,)?) => {
        $(fn $method(self, $($arg: $of),*) -> Result<Self::$part, S::Error> {
            let watch = self.watch;
            watch.down($levels)?;
            let parts = Parts::new(watch, $said);
            Ok(Compound { inner: self.inner.$method($($arg),*)?, watch, parts, levels: $levels })
        })+
    };
}

impl<'a, S> Serializer for Strict<'a, S>
where
    S: Serializer,
{
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'a, S::SerializeSeq>;
    type SerializeTuple = Compound<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'a, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'a, S::SerializeMap>;
    type SerializeStruct = Compound<'a, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'a, S::SerializeStructVariant>;

    forward!(
        serialize_bool(value: bool),
        serialize_i8(value: i8),
        serialize_i16(value: i16),
        serialize_i32(value: i32),
        serialize_i64(value: i64),
        serialize_u8(value: u8),
        serialize_u16(value: u16),
        serialize_u32(value: u32),
        serialize_u64(value: u64),
        serialize_char(value: char),
        serialize_none(),
        serialize_unit(),
        serialize_unit_struct(name: &'static str),
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str),
    );

    check!(
        serialize_f32(value: f32): finite(value.is_finite()),
        serialize_f64(value: f64): finite(value.is_finite()),
        serialize_str(value: &str): text(value),
        serialize_i128(value: i128): wide(),
        serialize_u128(value: u128): wide(),
    );

    compound!(
        serialize_seq(len: Option<usize>): SerializeSeq, 1, len,
        serialize_tuple(len: usize): SerializeTuple, 1, Some(len),
        serialize_tuple_struct(name: &'static str, len: usize): SerializeTupleStruct, 1, Some(len),
        serialize_map(len: Option<usize>): SerializeMap, 1, len,
        serialize_struct(name: &'static str, len: usize): SerializeStruct, 1, Some(len),
        // A map with one entry, and within it a list or map.
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize): SerializeTupleVariant, 2, Some(len),
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize): SerializeStructVariant, 2, Some(len),
    );

    /// JSON writes a list.
    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        self.watch.down(1)?;
        self.watch.up(1);
        self.inner.serialize_bytes(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.value(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.value(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.watch.down(1)?;
        let (value, watch) = (self.value(value), self.watch);
        let written = self.inner.serialize_newtype_variant(name, index, variant, &value);
        watch.up(1);
        written
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'a, T> Compound<'a, T> {
    fn value<'v, V: ?Sized>(&self, value: &'v V) -> Strict<'a, &'v V> {
        Strict { inner: value, watch: self.watch }
    }
}

macro_rules! parts {
    ($($trait:ident::$method:ident($($key:ident: $of:ty)?)),+ $(,)?) => {
        $(impl<S> $trait for Compound<'_, S>
        where
            S: $trait,
        {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $of,)? value: &T) -> Result<(), S::Error> {
                self.parts.next(self.watch)?;
                let value = self.value(value);
                self.inner.$method($($key,)? &value)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.parts.end(self.watch)?;
                self.watch.up(self.levels);
                self.inner.end()
            }
        })+
    };
}

parts!(
    SerializeSeq::serialize_element(),
    SerializeTuple::serialize_element(),
    SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(),
    SerializeStruct::serialize_field(key: &'static str),
    SerializeStructVariant::serialize_field(key: &'static str),
);

impl<S> SerializeMap for Compound<'_, S>
where
    S: SerializeMap,
{
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.parts.next(self.watch)?;
        if self.watch.rules.any_keys {
            let key = self.value(key);
            let watch = self.watch;
            return watch.within_key(|| self.inner.serialize_key(&key));
        }
        // What the codec refuses of a key, it refuses for being no text.
        self.inner.serialize_key(&Key { inner: key, watch: self.watch }).map_err(|_| self.watch.key())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let value = self.value(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.parts.end(self.watch)?;
        self.watch.up(self.levels);
        self.inner.end()
    }
}
