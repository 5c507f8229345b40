//! DER as a tree: an edit keeps every length right, so that it reaches the code behind the parser.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

const CONSTRUCTED: u8 = 0x20;
const OCTET_STRING: u8 = 0x04;

/// One value with all that lies in it, octet strings that hold DER included.
#[derive(Debug, Clone)]
pub struct Node {
    tag: u8,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Members(Vec<Node>),
    Bytes(Vec<u8>),
}

/// A step that spoils a tree. Places count from the root, depth first, and wrap around.
#[derive(Debug, Clone, Arbitrary)]
pub enum Edit<'a> {
    /// Another content, with the length that fits.
    Content(u8, &'a [u8]),
    /// Other bytes in the content.
    Splice(u8, Splice<'a>),
    /// Another tag.
    Tag(u8, u8),
    /// Nothing instead.
    Remove(u8),
    /// The same once more behind it.
    Repeat(u8),
    /// The content of the first in place of the second.
    Copy(u8, u8),
    /// Bytes that may be a value, before it.
    Insert(u8, &'a [u8]),
}

/// Some bytes replaced by others; the place wraps around.
#[derive(Debug, Clone, Arbitrary)]
pub struct Splice<'a> {
    at: u16,
    remove: u8,
    insert: &'a [u8],
}

impl Splice<'_> {
    /// Applies it.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let at = usize::from(self.at) % (bytes.len() + 1);
        let end = bytes.len().min(at + usize::from(self.remove));
        bytes.splice(at..end, self.insert.iter().copied());
    }
}

impl Node {
    /// The tree of valid DER.
    ///
    /// # Panics
    ///
    /// Where it is not DER: only what this package made is read.
    #[must_use]
    pub fn parse(der: &[u8]) -> Self {
        let mut nodes = parse_all(der).expect("valid DER");
        assert_eq!(nodes.len(), 1, "one value");
        nodes.remove(0)
    }

    /// The value, in DER again unless an edit has brought in other bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let content = match &self.body {
            Body::Members(members) => members.iter().flat_map(Self::encode).collect(),
            Body::Bytes(bytes) => bytes.clone(),
        };
        tlv(self.tag, &content)
    }

    /// The members of a constructed value.
    #[must_use]
    pub fn members(&self) -> &[Self] {
        match &self.body {
            Body::Members(members) => members,
            Body::Bytes(_) => &[],
        }
    }

    /// Applies an edit.
    pub fn edit(&mut self, edit: &Edit<'_>) {
        let count = self.count();
        let place = |wanted: u8| usize::from(wanted) % count;
        match edit {
            Edit::Content(at, bytes) => {
                self.at(place(*at)).body = Body::Bytes(bytes.to_vec());
            }
            Edit::Splice(at, splice) => {
                let node = self.at(place(*at));
                let mut bytes = node.content();
                splice.apply(&mut bytes);
                node.body = Body::Bytes(bytes);
            }
            Edit::Tag(at, tag) => self.at(place(*at)).tag = *tag,
            Edit::Remove(at) => self.among_siblings(place(*at), |siblings, index| {
                siblings.remove(index);
            }),
            Edit::Repeat(at) => self.among_siblings(place(*at), |siblings, index| {
                siblings.insert(index, siblings[index].clone());
            }),
            Edit::Copy(from, to) => {
                let body = self.at(place(*from)).body.clone();
                self.at(place(*to)).body = body;
            }
            Edit::Insert(at, bytes) => self.among_siblings(place(*at), |siblings, index| {
                // What is no value becomes the content of one.
                match parse_all(bytes) {
                    Some(nodes) => drop(siblings.splice(index..index, nodes)),
                    None => siblings.insert(
                        index,
                        Self {
                            tag: OCTET_STRING,
                            body: Body::Bytes(bytes.to_vec()),
                        },
                    ),
                }
            }),
        }
    }

    fn content(&self) -> Vec<u8> {
        match &self.body {
            Body::Members(members) => members.iter().flat_map(Self::encode).collect(),
            Body::Bytes(bytes) => bytes.clone(),
        }
    }

    fn count(&self) -> usize {
        1 + self.members().iter().map(Self::count).sum::<usize>()
    }

    fn at(&mut self, place: usize) -> &mut Self {
        if place == 0 {
            return self;
        }
        let Body::Members(members) = &mut self.body else {
            panic!("a place within the tree");
        };
        let mut place = place - 1;
        for member in members {
            let count = member.count();
            if place < count {
                return member.at(place);
            }
            place -= count;
        }
        panic!("a place within the tree")
    }

    /// The siblings of a place other than the root.
    fn among_siblings(&mut self, place: usize, change: impl FnOnce(&mut Vec<Self>, usize)) {
        if place == 0 {
            return;
        }
        let Body::Members(members) = &mut self.body else {
            return;
        };
        let mut place = place - 1;
        for index in 0..members.len() {
            let count = members[index].count();
            if place == 0 {
                return change(members, index);
            }
            if place < count {
                return members[index].among_siblings(place, change);
            }
            place -= count;
        }
    }
}

/// A value of its tag and content.
#[must_use]
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match significant[..] {
        [] => der.push(0),
        [short @ 0..0x80] => der.push(short),
        _ => {
            der.push(0x80 | u8::try_from(significant.len()).expect("a few bytes"));
            der.extend(significant);
        }
    }
    der.extend(content);
    der
}

/// The values that stand one after another; none where something else does.
fn parse_all(mut der: &[u8]) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while let [tag, first, rest @ ..] = der {
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.len() > 4 {
                return None;
            }
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let inner = (tag & CONSTRUCTED != 0 || *tag == OCTET_STRING)
            .then(|| parse_all(content))
            .flatten();
        let body = match inner {
            Some(members) if !content.is_empty() => Body::Members(members),
            _ => Body::Bytes(content.to_vec()),
        };
        nodes.push(Node { tag: *tag, body });
        der = rest;
    }
    der.is_empty().then_some(nodes)
}
