//! What a client is told: the defaults of `[responses]`.

use crate::config::responses::Responses as Written;
use crate::config::{Diagnostic, Problems};
use crate::policy::responses::{Cors, Origins, RateLimitFields, Responses};

pub(super) fn compile(written: &Written, problems: &Problems) -> Responses {
    let fields = written.rate_limit_fields.unwrap_or_default();
    if let Some(legacy) = written.legacy_rate_limit_fields.as_ref().filter(|legacy| legacy.value)
        && fields == RateLimitFields::Never
    {
        problems.add(
            Diagnostic::error(legacy.place, "no response has rate limit fields, so none has the older ones")
                .expected("`rate_limit_fields = \"refusals\"` or \"always\" beside it"),
        );
    }
    Responses {
        rate_limit_fields: fields,
        legacy_rate_limit_fields: written.legacy_rate_limit_fields.as_ref().is_some_and(|l| l.value),
        cors: written.cors.as_ref().map(|cors| {
            if let (Some(credentials), Origins::Any) = (&cors.credentials, &cors.origins)
                && credentials.value
            {
                problems.add(
                    Diagnostic::error(
                        credentials.place,
                        "a browser lets nobody read with credentials what everybody may read",
                    )
                    .expected("`origins` one by one beside `credentials = true`"),
                );
            }
            Cors {
                origins: cors.origins.clone(),
                credentials: cors.credentials.as_ref().is_some_and(|c| c.value),
                expose: cors.expose.clone(),
            }
        }),
    }
}
