//! `/config`: what runs, as opposed to what is written in the file now.

use super::Admin;
use super::answer::{self, Answer, JSON};
use crate::policy::describe::describe;

pub(super) fn in_force(admin: &Admin) -> Answer {
    answer::ok(JSON, format!("{:#}\n", describe(&(admin.policy)())))
}
