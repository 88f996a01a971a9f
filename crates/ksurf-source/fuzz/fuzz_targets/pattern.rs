#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ksurf_source_fuzz::pattern(data));
