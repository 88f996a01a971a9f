#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ksurf_read_fuzz::core(data));
