//! Compiles the schema without a protobuf compiler.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = protox::compile(["stock.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(schema)?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
