//! `/`: a page for people who came to look.

use std::fmt::Write;
use std::sync::Arc;

use super::Admin;
use super::answer::{self, Answer, HTML};
use super::asked::Asked;
use super::endpoints::ENDPOINTS;
use crate::build_info;

pub(super) fn page(_: &Arc<Admin>, _: &Asked) -> Answer {
    let mut list = String::new();
    for endpoint in ENDPOINTS {
        let (path, about) = (endpoint.path, endpoint.about);
        // Writing to a String cannot fail.
        let _ = writeln!(list, "<dt><a href=\"{path}\">{path}</a><dd>{about}.");
    }
    let version = build_info::VERSION;
    let body = format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width\">\n\
         <title>weir admin</title>\n<style>body{{font:1rem/1.5 system-ui;margin:2rem;max-width:40rem}}</style>\n\
         <h1>weir {version}</h1>\n<dl>\n{list}</dl>\n"
    );
    answer::ok(HTML, body)
}
