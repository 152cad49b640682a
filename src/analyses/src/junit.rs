//! Verdicts in the report format of CI systems (JUnit's XML).

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// How a check came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed {
        /// In one line.
        message: String,
        /// All of it.
        details: String,
    },
    /// It could not be found out.
    Trouble {
        /// Why.
        message: String,
    },
}

/// A check and how it came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// What was checked: the trace, or the two traces.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// How long it took, if that may be shown.
    pub time: Option<Duration>,
}

/// The report of a suite of checks, as XML. `suite` is the verb: `verify`, `diff`.
pub fn report(suite: &str, checks: &[Check]) -> String {
    let mut cases = TestSuite::new(suite);
    for check in checks {
        let status = match &check.outcome {
            Outcome::Passed => TestCaseStatus::success(),
            Outcome::Failed { message, details } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(message.as_str()).set_type("divergence").set_description(details.as_str());
                status
            }
            Outcome::Trouble { message } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(message.as_str()).set_type("trouble");
                status
            }
        };
        let mut case = TestCase::new(check.name.as_str(), status);
        case.set_classname(format!("cantus.{suite}"));
        if let Some(time) = check.time {
            case.set_time(time);
        }
        cases.add_test_case(case);
    }
    let mut report = Report::new("cantus");
    report.add_test_suite(cases);
    // Text that XML cannot hold was replaced where it was set; memory takes everything.
    report.to_string().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_passes_failures_and_errors() {
        let check = |name: &str, outcome| Check { name: name.to_owned(), outcome, time: None };
        insta::assert_snapshot!(report(
            "verify",
            &[
                check("good.cantus", Outcome::Passed),
                check(
                    "bad.cantus",
                    Outcome::Failed {
                        message: "core 1 diverged at step 5".to_owned(),
                        details: "expected <1> & came \u{1}\u{1b}[31m\"2\"".to_owned(),
                    },
                ),
                check("none.cantus", Outcome::Trouble { message: "no such file".to_owned() }),
            ],
        ));
    }
}
