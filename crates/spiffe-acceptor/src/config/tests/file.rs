//! What is read as a file, and what is not.

use std::fs;

use super::*;

#[test]
fn a_file_is_bounded_and_regular() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    let told = |path: &Path| Config::from_file(path).map(drop).unwrap_err().to_string();
    let shown = file.display();

    assert!(
        told(&file).starts_with(&format!("{shown}: it cannot be read: ")),
        "{}",
        told(&file)
    );
    fs::write(&file, "http: {timeout: 7s}\n").unwrap();
    assert_eq!(
        Config::from_file(&file).unwrap().header_timeout(),
        Duration::from_secs(7)
    );
    fs::write(&file, "http:\n  timeout: 7\n").unwrap();
    assert!(told(&file).starts_with(&format!("{shown}:2:12: http.timeout: `7` is no duration")));
    fs::write(&file, "http:\n  adress: x\n").unwrap();
    assert!(told(&file).starts_with(&format!("{shown}:2:3: there is no `adress` here")));

    let comment = |bytes: usize| format!("{{}} #{}", "x".repeat(bytes - 4));
    fs::write(&file, comment(64 * 1024)).unwrap();
    assert!(Config::from_file(&file).is_ok());
    fs::write(&file, comment(64 * 1024 + 1)).unwrap();
    assert_eq!(
        told(&file),
        format!("{shown}: it has more than 64 KiB, which no configuration needs")
    );
    assert!(Config::from_yaml(&comment(64 * 1024 + 1)).is_err());
    fs::write(&file, b"http: {timeout: \"\xff\"}").unwrap();
    assert_eq!(told(&file), format!("{shown}: it is no text in UTF-8"));

    let directory = directory.path();
    assert_eq!(
        told(directory),
        format!(
            "{}: it is a directory; name a YAML file",
            directory.display()
        )
    );
    assert_eq!(
        told(Path::new("/dev/zero")),
        "/dev/zero: it is no regular file; name a YAML file"
    );
    let fifo = directory.join("fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    assert!(told(&fifo).ends_with("it is no regular file; name a YAML file"));
}

#[test]
fn aliases_do_not_multiply() {
    let mut text = String::from("spire:\n  trusted_domains:\n    - &a [a.test, b.test]\n");
    for _ in 0..1000 {
        text.push_str("    - *a\n");
    }
    assert!(Config::from_yaml(&text).is_err());
}

#[test]
fn a_relative_directory_starts_at_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("server.yaml");
    fs::write(&file, "spire: {files: svids}\n").unwrap();
    let config = Config::from_file(&file).unwrap();
    assert_eq!(value(&config.files), directory.path().join("svids"));
    assert_eq!(
        value(&yaml("spire: {files: svids}").files),
        Path::new("svids")
    );
}
