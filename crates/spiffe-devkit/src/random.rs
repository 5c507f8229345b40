use aws_lc_rs::rand;

use crate::authority::IssueError;

/// Random bytes from the system.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], IssueError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| IssueError::RANDOM)?;
    Ok(bytes)
}

/// A serial number: positive, and always of the same length.
pub(crate) fn serial() -> Result<[u8; 16], IssueError> {
    let mut serial = bytes::<16>()?;
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(serial)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
