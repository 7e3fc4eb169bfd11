//! A serializer in front of that of a key, for codecs whose keys are texts: what has parts is refused before it is asked, for
//! serde_dynamo would panic.

use serde::ser::{Impossible, Serialize, Serializer};

use crate::domain::codec::watch::Watch;

/// The serializer of a key, or a key on its way into one.
pub(super) struct Key<'a, T> {
    pub(super) inner: T,
    pub(super) watch: &'a Watch,
}

impl<T> Serialize for Key<'_, &T>
where
    T: Serialize + ?Sized,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let watch = self.watch;
        watch.call(|| self.inner.serialize(Key { inner: serializer, watch }))
    }
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $of:ty),*)),+ $(,)?) => {
        $(fn $method(self, $($arg: $of),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($arg),*)
        })+
    };
}

macro_rules! refuse {
    ($($method:ident($($of:ty),*) -> $ok:ty),+ $(,)?) => {
        $(fn $method(self, $(_: $of),*) -> Result<$ok, S::Error> {
            Err(self.watch.key())
        })+
    };
}

impl<S> Serializer for Key<'_, S>
where
    S: Serializer,
{
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    forward!(
        serialize_bool(value: bool),
        serialize_i8(value: i8),
        serialize_i16(value: i16),
        serialize_i32(value: i32),
        serialize_i64(value: i64),
        serialize_i128(value: i128),
        serialize_u8(value: u8),
        serialize_u16(value: u16),
        serialize_u32(value: u32),
        serialize_u64(value: u64),
        serialize_u128(value: u128),
        serialize_char(value: char),
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str),
    );

    fn serialize_str(self, value: &str) -> Result<S::Ok, S::Error> {
        self.watch.name(value)?;
        self.inner.serialize_str(value)
    }

    refuse!(
        serialize_bytes(&[u8]) -> S::Ok,
        serialize_none() -> S::Ok,
        serialize_unit() -> S::Ok,
        serialize_unit_struct(&'static str) -> S::Ok,
        serialize_seq(Option<usize>) -> Self::SerializeSeq,
        serialize_tuple(usize) -> Self::SerializeTuple,
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant,
        serialize_map(Option<usize>) -> Self::SerializeMap,
        serialize_struct(&'static str, usize) -> Self::SerializeStruct,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant,
    );

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.watch.finite(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.watch.finite(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Key { inner: value, watch: self.watch })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Key { inner: value, watch: self.watch })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        Err(self.watch.key())
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}
