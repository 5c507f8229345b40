//! No YAML, or none that is read. A whole file to a row.

#[rustfmt::skip]
pub(super) const ROWS: &[(&str, &str)] = &[
    ("version: 1\n¶\tname: x\n", "indent with spaces"),
    ("version: 1\nname: 'x\n¶rules: []\n", "close the quote"),
    ("version: 1\nname: \"x\n¶rules: []\n", "close the quote"),
    ("version: 1\nname: x\nrules: ¶[\n", "close every `[`"),
    ("version: 1\nname: x\nrules: ¶[}\n", "close every `[`"),
    ("version: 1\nname: ¶\"a\\q\"\nrules: []\n", "backslash"),
    ("version: 1\nname: x¶: y\nrules: []\n", "in quotes"),
    ("version: 1\nname: ¶@x\nrules: []\n", "in quotes"),
    ("version: 1\nname: ¶*x\nrules: []\n", "`*name` is an alias"),
    ("version: 1\nname: ¶!!str x\nrules: []\n", "`!!str` is a tag"),
    ("version: 1\nname: x\nrules: ¶!r []\n", "`!r` is a tag"),
    ("version: 1\nname: x\nrules: &a [¶*a]\n", "within what it stands for"),
    ("version: 1\nname: x\nrules: []\n¶---\nversion: 1\n", "a second document"),
    ("%YAML 1.1\n¶---\nversion: 1\nname: x\nrules: []\n", "leave the `%YAML` line out"),
    ("version: 1\nname: x\n  y¶: z\n", "this is no YAML"),
];
