//! Nova.
fn main() {}
