//! Compiles the schema without a protobuf compiler, and makes a table of the rules in it.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut schema = protox::Compiler::new(["proto", spiffe_authz_build::INCLUDE])?;
    schema.include_imports(true).open_file("orders.proto")?;
    spiffe_authz_build::Rules::new()
        .service("orders.v1.Stock")
        .write(&schema.encode_file_descriptor_set(), "rules.rs")?;
    tonic_prost_build::configure().compile_fds(schema.file_descriptor_set())?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
