//! The common case read in one pass: a record as we write it, whose `type` stands before its `data`.
//!
//! Anything else, and anything wrong, is none of its business: then the record is read again with
//! care, which also says what is wrong.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::CloudEvent;
use crate::event::Body;

/// Reads it; none when it must be read with care.
pub(super) fn read<B: Body>(bytes: &[u8]) -> Option<CloudEvent<'_, B>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut from = serde_json::Deserializer::from_str(text);
    let event = from.deserialize_map(Parts(PhantomData)).ok()?;
    from.end().ok()?;
    Some(event)
}

struct Parts<B>(PhantomData<B>);

impl<'de, B: Body> Visitor<'de> for Parts<B> {
    type Value = CloudEvent<'de, B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudEvent")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut specversion, mut id, mut source) = (None, None, None);
        let (mut type_name, mut time, mut subject) = (None::<&'de str>, None, None);
        let (mut causeoffset, mut causeindex, mut causelast) = (None, None, None);
        let mut data = None;
        while let Some(key) = map.next_key::<&'de str>()? {
            match key {
                "specversion" => once::<&'de str, _>(&mut specversion, &mut map)?,
                "id" => once(&mut id, &mut map)?,
                "source" => once::<&'de str, _>(&mut source, &mut map)?,
                "type" => once(&mut type_name, &mut map)?,
                "time" => once(&mut time, &mut map)?,
                "subject" => once::<Option<&'de str>, _>(&mut subject, &mut map)?,
                "causeoffset" => once::<Option<&'de str>, _>(&mut causeoffset, &mut map)?,
                "causeindex" => once(&mut causeindex, &mut map)?,
                "causelast" => once(&mut causelast, &mut map)?,
                "data" => {
                    let seed = Data { type_name: known(type_name)?, body: PhantomData };
                    let body: B = map.next_value_seed(seed)?;
                    if data.replace(body).is_some() {
                        return Err(M::Error::custom("twice"));
                    }
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(CloudEvent {
            specversion: known(specversion)?.into(),
            id: known(id)?,
            source: known(source)?.into(),
            type_name: known(type_name)?.into(),
            time: known(time)?,
            subject: subject.flatten().map(Cow::Borrowed),
            causeoffset: causeoffset.flatten().map(Cow::Borrowed),
            causeindex: causeindex.flatten(),
            causelast: causelast.flatten(),
            data: known(data)?,
        })
    }
}

fn once<'de, T: Deserialize<'de>, M: MapAccess<'de>>(
    into: &mut Option<T>,
    map: &mut M,
) -> Result<(), M::Error> {
    let before = into.replace(map.next_value()?);
    before.map_or(Ok(()), |_| Err(M::Error::custom("twice")))
}

fn known<T, E: serde::de::Error>(part: Option<T>) -> Result<T, E> {
    part.ok_or_else(|| E::custom("a part is missing, or comes later"))
}

/// The data of a record of this type.
struct Data<'a, B> {
    type_name: &'a str,
    body: PhantomData<B>,
}

impl<'de, B: Body> DeserializeSeed<'de> for Data<'_, B> {
    type Value = B;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<B, D::Error> {
        let body = B::deserialize(self.type_name, from);
        body.unwrap_or_else(|| Err(D::Error::custom("an unknown type")))
    }
}
