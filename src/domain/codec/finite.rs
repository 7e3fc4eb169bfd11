//! A serializer in front of another that refuses NaN and infinity, for which JSON has no word and serde_json writes `null`.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::cell::Cell;

/// A serializer, or a part of one, or a value on its way into one.
pub(super) struct Finite<'a, T> {
    inner: T,
    refused: &'a Cell<bool>,
}

impl<'a> Finite<'a, ()> {
    /// Serializes a value. The error says whether it is because of a number that is not finite.
    pub(super) fn check<S, T>(serializer: S, value: &T) -> Result<S::Ok, (bool, S::Error)>
    where
        S: Serializer,
        T: Serialize + ?Sized,
    {
        let refused = Cell::new(false);
        value.serialize(Finite { inner: serializer, refused: &refused }).map_err(|error| (refused.get(), error))
    }
}

impl<'a, T> Finite<'a, T> {
    fn with<U>(&self, inner: U) -> Finite<'a, U> {
        Finite { inner, refused: self.refused }
    }
}

impl<T> Serialize for Finite<'_, &T>
where
    T: Serialize + ?Sized,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(self.with(serializer))
    }
}

macro_rules! forward {
    ($($method:ident: $of:ty),+ $(,)?) => {
        $(fn $method(self, value: $of) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        })+
    };
}

macro_rules! check {
    ($($method:ident: $of:ty),+ $(,)?) => {
        $(fn $method(self, value: $of) -> Result<S::Ok, S::Error> {
            if value.is_finite() {
                return self.inner.$method(value);
            }
            self.refused.set(true);
            Err(S::Error::custom("not finite"))
        })+
    };
}

macro_rules! compound {
    ($($method:ident($($arg:ident: $of:ty),*): $part:ident),+ $(,)?) => {
        $(fn $method(self, $($arg: $of),*) -> Result<Self::$part, S::Error> {
            Ok(Finite { inner: self.inner.$method($($arg),*)?, refused: self.refused })
        })+
    };
}

impl<'a, S> Serializer for Finite<'a, S>
where
    S: Serializer,
{
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Finite<'a, S::SerializeSeq>;
    type SerializeTuple = Finite<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Finite<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Finite<'a, S::SerializeTupleVariant>;
    type SerializeMap = Finite<'a, S::SerializeMap>;
    type SerializeStruct = Finite<'a, S::SerializeStruct>;
    type SerializeStructVariant = Finite<'a, S::SerializeStructVariant>;

    check!(serialize_f32: f32, serialize_f64: f64);

    forward!(
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    );

    compound!(
        serialize_seq(len: Option<usize>): SerializeSeq,
        serialize_tuple(len: usize): SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize): SerializeTupleStruct,
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize): SerializeTupleVariant,
        serialize_map(len: Option<usize>): SerializeMap,
        serialize_struct(name: &'static str, len: usize): SerializeStruct,
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize): SerializeStructVariant,
    );

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! parts {
    ($($trait:ident::$method:ident($($key:ident: $of:ty)?)),+ $(,)?) => {
        $(impl<S> $trait for Finite<'_, S>
        where
            S: $trait,
        {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $of,)? value: &T) -> Result<(), S::Error> {
                let value = self.with(value);
                self.inner.$method($($key,)? &value)
            }

            fn end(self) -> Result<S::Ok, S::Error> {
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

impl<S> SerializeMap for Finite<'_, S>
where
    S: SerializeMap,
{
    type Ok = S::Ok;
    type Error = S::Error;

    // A key is a text in the end, or refused; serde_json refuses one that is not finite by itself.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let value = self.with(value);
        self.inner.serialize_value(&value)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.inner.end()
    }
}
