//! The server's configuration: what is accepted is the same when it is written and read again.
#![cfg_attr(fuzzing, no_main)]

use contract::config::ServerConfig;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

pub(crate) fn run(data: &[u8]) {
    let Ok(config) = serde_json::from_slice::<ServerConfig>(data) else {
        return;
    };
    let text = serde_json::to_string(&config).unwrap();
    let again: ServerConfig = serde_json::from_str(&text).unwrap();
    assert_eq!(again, config);
}
