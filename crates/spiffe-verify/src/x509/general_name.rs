//! Names by which a subject is known beside its own (RFC 5280, section 4.2.1.6).

use der::asn1::{
    AnyRef, Ia5StringRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef,
};
use der::{Result, Tag, TagNumber, Tagged};

use super::fields::{self, Values};

const OTHER: u8 = 0xa0;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const DIRECTORY: u8 = 0xa4;
const EDI_PARTY: u8 = 0xa5;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
const REGISTERED_ID: u8 = 0x88;

/// The URI that the next name is, if it is one. A name of any other kind has to be well-formed too:
/// who reads names loosely reads others than those that were signed.
pub(super) fn uri<'a>(names: &mut Values<'a>) -> Result<Option<&'a str>> {
    let name = names.any()?;
    let value = name.value();
    match name.tag().octet() {
        URI => return Ok(Some(Ia5StringRef::new(value)?.as_str())),
        EMAIL | DNS => drop(Ia5StringRef::new(value)?),
        IP => {}
        REGISTERED_ID => drop(ObjectIdentifier::from_bytes(value)?),
        DIRECTORY => drop(fields::all(value, fields::name)?),
        OTHER => fields::all(value, other)?,
        EDI_PARTY => fields::all(value, edi_party)?,
        _ => return Err(name.tag().unexpected_error(None)),
    }
    Ok(None)
}

fn other(parts: &mut Values<'_>) -> Result<()> {
    fields::oid(parts)?;
    parts.tagged(TagNumber::N0).map(drop)
}

fn edi_party(fields: &mut Values<'_>) -> Result<()> {
    if let Some(assigner) = fields.tagged_option(TagNumber::N0)? {
        directory_string(assigner)?;
    }
    directory_string(fields.tagged(TagNumber::N1)?)
}

fn directory_string(text: AnyRef<'_>) -> Result<()> {
    match text.tag() {
        Tag::PrintableString => text.decode_as::<PrintableStringRef<'_>>().map(drop),
        Tag::TeletexString => text.decode_as::<TeletexStringRef<'_>>().map(drop),
        _ => text.decode_as::<Utf8StringRef<'_>>().map(drop),
    }
}
