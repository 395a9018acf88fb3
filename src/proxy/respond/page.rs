//! The page for people.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Worded;
use crate::proxy::refusal::texts::whole_seconds_up;

/// What a page takes, and the fields behind it, roughly.
const PAGE_BYTES: usize = 2560;

/// The whole page.
pub(super) fn page(said: &Worded<'_>, request_id: &str) -> Vec<u8> {
    let mut page = String::with_capacity(PAGE_BYTES);
    let (status, title) = (said.notice.status.as_u16(), said.notice.title());
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{status} {title}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:12vh auto;padding:0 1.5em;\
         color:#222;background:#fff}}h1{{font-size:1.5em}}small,blockquote{{color:#666}}\
         blockquote{{margin:1em 0;padding-left:1em;border-left:3px solid #ccc}}\
         @media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}}}</style>\
         <h1>{title}</h1><p>{}</p>",
        escape(said.detail())
    );
    if let Some(wait) = said.retry_after() {
        let _ = write!(page, "<p>Please try again in {} s.</p>", whole_seconds_up(wait));
    }
    if let Some(refused) = &said.refused {
        let limit = refused.limit;
        let _ = write!(
            page,
            "<p>The limit is “{}”, under the clause “{}” of the acceptable use policy:</p>\
             <blockquote>{}</blockquote>",
            escape(&limit.name),
            escape(&limit.clause.title),
            escape(&limit.clause.text)
        );
    }
    let _ = write!(
        page,
        "<p><small>{status} · answered by weir, which stands in front of this site, not by the site itself \
         · request {}</small></p></html>",
        escape(request_id)
    );
    page.into_bytes()
}

fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    Cow::Owned(escaped)
}
