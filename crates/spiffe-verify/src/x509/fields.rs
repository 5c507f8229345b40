//! The parts of a certificate, read in place (RFC 5280, section 4). What could be read in two ways is
//! refused, and so is what is left over; nothing is copied. What is forbidden but has one reading passes,
//! such as a default that is spelled out (`critical FALSE`) and a part of a name with nothing in it.

use std::cmp::Ordering;
use std::time::SystemTime;

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, UtcTime};
use der::{
    Choice, DecodeValue, DerOrd, ErrorKind, FixedTag, Length, Result, Tag, TagNumber, Tagged,
};

use super::bounds;

/// Values that stand one after another.
pub(super) struct Values<'a>(pub(super) &'a [u8]);

impl<'a> Values<'a> {
    pub(super) fn are_read(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever it is.
    pub(super) fn any(&mut self) -> Result<AnyRef<'a>> {
        let (value, rest) = bounds::split(self.0).ok_or(ErrorKind::Failed)?;
        if !value.is_shortest {
            return Err(ErrorKind::Overlength.into());
        }
        self.0 = rest;
        AnyRef::new(Tag::try_from(value.tag)?, value.content)
    }

    pub(super) fn next<T: Choice<'a> + DecodeValue<'a>>(&mut self) -> Result<T> {
        self.any()?.decode_as()
    }

    pub(super) fn optional<T>(&mut self) -> Result<Option<T>>
    where
        T: Choice<'a> + DecodeValue<'a> + FixedTag,
    {
        match self.0.first() {
            Some(tag) if *tag == T::TAG.octet() => self.next().map(Some),
            _ => Ok(None),
        }
    }

    /// The value that comes next, under this tag of its own.
    pub(super) fn tagged(&mut self, number: TagNumber) -> Result<AnyRef<'a>> {
        let outer = self.any()?;
        let constructed = true;
        let wanted = Tag::ContextSpecific {
            constructed,
            number,
        };
        outer.tag().assert_eq(wanted)?;
        all(outer.value(), Self::any)
    }

    /// The same, where it need not be there.
    pub(super) fn tagged_option(&mut self, number: TagNumber) -> Result<Option<AnyRef<'a>>> {
        let tag = self.0.first().copied().map(Tag::try_from).transpose()?;
        let is_it = tag.is_some_and(|tag| tag.is_context_specific() && tag.number() == number);
        is_it.then(|| self.tagged(number)).transpose()
    }

    /// The SEQUENCE that comes next: `read` has to take all that is in it.
    pub(super) fn list<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        all(contents(self.any()?, Tag::Sequence)?, read)
    }
}

fn contents(value: AnyRef<'_>, tag: Tag) -> Result<&[u8]> {
    value.tag().assert_eq(tag)?;
    Ok(value.value())
}

/// What `read` makes of these bytes: it has to take all of them.
pub(super) fn all<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Values<'a>) -> Result<T>,
) -> Result<T> {
    let mut values = Values(bytes);
    let read = read(&mut values)?;
    let remaining = Length::try_from(values.0.len())?;
    if remaining.is_zero() {
        return Ok(read);
    }
    let decoded = Length::try_from(bytes.len() - values.0.len())?;
    Err(ErrorKind::TrailingData { decoded, remaining }.into())
}

/// In DER no number of an OID begins with a byte that adds nothing (X.690, section 8.19.2). `der` takes
/// one that does, so that one extension could stand twice under two spellings of its OID.
pub(super) fn oid(values: &mut Values<'_>) -> Result<ObjectIdentifier> {
    let id = values.next::<ObjectIdentifier>()?;
    let mut begins = true;
    for byte in id.as_bytes() {
        if begins && *byte == 0x80 {
            return Err(Tag::ObjectIdentifier.non_canonical_error());
        }
        begins = byte & 0x80 == 0;
    }
    Ok(id)
}

pub(super) fn algorithm(values: &mut Values<'_>) -> Result<()> {
    values.list(|fields| {
        oid(fields)?;
        if !fields.are_read() {
            fields.any()?;
        }
        Ok(())
    })
}

/// A public key: the whole SubjectPublicKeyInfo.
pub(super) fn public_key<'a>(values: &mut Values<'a>) -> Result<&'a [u8]> {
    let from_here = values.0;
    values.list(|fields| {
        algorithm(fields)?;
        fields.next::<BitStringRef<'_>>()
    })?;
    let length = from_here.len() - values.0.len();
    Ok(from_here.get(..length).unwrap_or_default())
}

/// What is in a name. Two names are one where these bytes are the same: they are compared as they are
/// written, as path validation does.
pub(super) fn name<'a>(values: &mut Values<'a>) -> Result<&'a [u8]> {
    let name = contents(values.any()?, Tag::Sequence)?;
    let mut parts = Values(name);
    while !parts.are_read() {
        attributes(contents(parts.any()?, Tag::Set)?)?;
    }
    Ok(name)
}

/// Members of a SET: they stand in ascending order, and none twice (X.690, section 11.6).
fn attributes(set: &[u8]) -> Result<()> {
    let mut members = Values(set);
    let mut last: Option<AnyRef<'_>> = None;
    while !members.are_read() {
        let member = members.any()?;
        match last.map(|last| last.der_cmp(&member)).transpose()? {
            None | Some(Ordering::Less) => last = Some(member),
            Some(Ordering::Equal) => return Err(ErrorKind::SetDuplicate.into()),
            Some(Ordering::Greater) => return Err(ErrorKind::SetOrdering.into()),
        }
        all(contents(member, Tag::Sequence)?, |fields| {
            oid(fields)?;
            fields.any()
        })?;
    }
    Ok(())
}

pub(super) fn time(values: &mut Values<'_>) -> Result<SystemTime> {
    match values.optional::<UtcTime>()? {
        Some(time) => Ok(time.to_system_time()),
        None => Ok(values.next::<GeneralizedTime>()?.to_system_time()),
    }
}

/// What is in the list of extensions, if there is one.
pub(super) fn extensions<'a>(values: &mut Values<'a>) -> Result<&'a [u8]> {
    if values.are_read() {
        return Ok(&[]);
    }
    contents(values.tagged(TagNumber::N3)?, Tag::Sequence)
}

/// What an extension is about, and what it says.
pub(super) fn extension<'a>(values: &mut Values<'a>) -> Result<(ObjectIdentifier, &'a [u8])> {
    values.list(|fields| {
        let id = oid(fields)?;
        fields.optional::<bool>()?;
        Ok((id, fields.next::<OctetStringRef<'a>>()?.as_bytes()))
    })
}

/// Whether basic constraints name an authority.
pub(super) fn basic_constraints(values: &mut Values<'_>) -> Result<bool> {
    values.list(|fields| {
        let authority = fields.optional::<bool>()?;
        fields.optional::<u8>()?;
        Ok(authority.unwrap_or_default())
    })
}

pub(super) fn key_usage<'a>(values: &mut Values<'a>) -> Result<BitStringRef<'a>> {
    let usage = values.next::<BitStringRef<'a>>()?;
    match usage.bit_len() {
        0..=16 => Ok(usage),
        _ => Err(ErrorKind::Overlength.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCTET_STRING: u8 = 4;

    #[test]
    fn a_length_has_one_form() {
        for (length, digits) in [
            (0, 0),
            (0x7f, 0),
            (0x80, 1),
            (0xff, 1),
            (0x100, 2),
            (0xffff, 2),
            (0x1_0000, 3),
        ] {
            for given in digits..=4 {
                let mut value = vec![OCTET_STRING];
                if given > 0 {
                    value.push(0x80 + u8::try_from(given).unwrap());
                }
                let bytes = u32::try_from(length).unwrap().to_be_bytes();
                match given {
                    0 => value.push(bytes[3]),
                    _ => value.extend(&bytes[4 - given..]),
                }
                value.resize(value.len() + length, 0);
                let read = Values(&value).any().map(|value| value.value().len());
                let expected = (given == digits).then_some(length);
                assert_eq!(read.ok(), expected, "{length} in {given} digits");
            }
        }
    }
}
