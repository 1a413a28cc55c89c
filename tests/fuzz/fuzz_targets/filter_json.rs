#![no_main]

use jettra_engine as engine;

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|text: &str| checks::filter_json(text));
