//! Compiles the schema without a protobuf compiler, and makes a table of the rules in it.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut schema = protox::Compiler::new(["proto", spiffe_authz_build::INCLUDE])?;
    schema.include_imports(true).open_file("orders.proto")?;
    let descriptors = schema.encode_file_descriptor_set();
    spiffe_authz_build::Rules::new()
        .service("orders.v1.Stock")
        .write(&descriptors, "rules.rs")?;
    let directory = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(directory.join("orders.binpb"), descriptors)?;
    tonic_prost_build::configure().compile_fds(schema.file_descriptor_set())?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
