//! A panic inside smartcore, as an error without a backtrace.

use super::FitError;
use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `fit`; a panic in it is neither printed nor passed on.
pub(super) fn without_panic<T>(fit: impl FnOnce() -> Result<T, FitError>) -> Result<T, FitError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !SILENT.get() {
                print(info);
            }
        }));
    });
    SILENT.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(fit));
    SILENT.set(false);
    result.unwrap_or_else(|payload| Err(FitError::Failed(message(&*payload))))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let result: Result<(), _> = without_panic(|| panic!("no convergence in {} steps", 30));
        let error = result.unwrap_err().to_string();
        assert_eq!(error, "fitting failed: no convergence in 30 steps");
    }
}
