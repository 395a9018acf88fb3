//! `/config`: what runs, as opposed to what is written in the file now.

use std::sync::Arc;

use super::Admin;
use super::answer::{self, Answer, JSON};
use super::asked::Asked;
use crate::policy::describe::describe;

pub(super) fn in_force(admin: &Arc<Admin>, _: &Asked) -> Answer {
    answer::ok(JSON, format!("{:#}\n", describe((admin.binding)().policy())))
}
