"""The statements over the schema `feedback`; its tables are in deploy/migrations/feedback."""

RELAY_LOCK = 7_163_001
"""Advisory lock of the one relay that works at a time."""

DRAFT = """
select d.draft_id, d.outcome, d.status, d.status_detail, d.created, d.traceparent, d.outdated,
       d.data, r.created as reviewed, r.data as review, r.added, r.numbers
from feedback.drafts d left join feedback.reviews r using (draft_id)
"""
SUMMARY = """
select d.draft_id, d.mail_id, d.mailbox, d.request_id, d.outcome, d.status, d.status_detail,
       d.evidence, d.engine, d.created, d.outdated, left(d.text, 1000) as text,
       m.subject, m.sender, m.sender_name, m.received
from feedback.drafts d join feedback.mails m using (mail_id)
"""
OUTCOME = """
select mail_id, mailbox, outcome, reason, detail, draft_id, subject, sender, sender_name, received,
       decided
from feedback.mails
"""
DOCUMENT = """
select document_id, state, collection, name, title, url, audience, submitted, sha256, chunks, code,
       detail
from feedback.documents
"""

# Of the viewer's mailboxes or audiences; null stands for all.
ONE_DRAFT = f"{DRAFT} where d.draft_id = $1 and ($2::text[] is null or d.mailbox = any($2))"
ONE_OUTCOME = f"{OUTCOME} where mail_id = $1 and ($2::text[] is null or mailbox = any($2))"
DOCUMENTS = f"""{DOCUMENT} where $2::text[] is null or audience = any($2)
order by submitted desc, document_id limit $1
"""

PUT_MAIL = """
insert into feedback.mails as m (mail_id, mailbox, thread_id, message_id, sender, sender_name,
    subject, received, accepted, outcome, block, category, language, raw_key)
values ($1, $2, $3, $4, $5, $6, $7, $8, true, 'pending', $9::jsonb, $10, $11, $12)
on conflict (mail_id) do update set accepted = true, thread_id = excluded.thread_id,
    block = excluded.block, category = excluded.category, language = excluded.language,
    raw_key = excluded.raw_key,
    outcome = case when m.reason = 'duplicate' then 'pending' else m.outcome end,
    detail = case when m.reason = 'duplicate' then '' else m.detail end,
    decided = case when m.reason = 'duplicate' then null else m.decided end,
    reason = case when m.reason = 'duplicate' then '' else m.reason end
"""
PUT_SKIPPED = """
insert into feedback.mails (mail_id, mailbox, message_id, sender, sender_name, subject, received,
    outcome, reason, detail, decided, raw_key)
values ($1, $2, $3, $4, $5, $6, $7, 'skipped', $8, $9, $7, $10)
on conflict (mail_id) do nothing
"""
PUT_DRAFT = """
insert into feedback.drafts (draft_id, mail_id, mailbox, outcome, status, request_id, text,
    evidence, engine, created, cited, traceparent, data, category, pipeline)
values ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13, $14)
on conflict (draft_id) do nothing returning draft_id
"""
# Another draft that is declined does not hide the one that is there.
DECIDE = """
update feedback.mails set outcome = $2, draft_id = $3, reason = $4, detail = $5, decided = $6
where mail_id = $1 and (decided is null or decided <= $6)
  and not ($2 = 'declined' and outcome = 'draft')
"""
# One that an agent works on stays: what was typed is not taken away.
OLDER_WAITING = f"""
{DRAFT} join feedback.mails m using (mail_id)
where d.status = 'waiting' and m.thread_id = $1 and m.mail_id <> $2
  and (m.received, m.mail_id) < ($3, $2)
  and not exists (select from feedback.edits e where e.draft_id = d.draft_id)
order by d.draft_id for update of d
"""
MAIL_OF = """
select mail_id from feedback.drafts
where draft_id = $1 and ($2::text[] is null or mailbox = any($2))
"""
OF_MAIL = f"{DRAFT} where d.mail_id = $1 order by d.draft_id for update of d"
LOCK = "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))"
"""Of a thread, by its id."""
LOCK_THREAD = """
select pg_advisory_xact_lock(hashtextextended(thread_id::text, 0))
from feedback.mails where mail_id = $1
"""
NEXT_REQUEST = """
update feedback.mails m set requests = 1 + greatest(m.requests,
    (select max(request_id) from feedback.drafts d where d.mail_id = m.mail_id))
where mail_id = $1 returning requests
"""
# Of a document `d`: it was taken away, and no version since was accepted. Its state may say
# otherwise, when a version that came after the removal was refused.
GONE = """
d.removed is not null and not exists (
    select from feedback.document_versions v
    where v.document_id = d.document_id and v.submitted > d.removed)
"""
OVERTAKEN = f"""
select case
    when exists (select from feedback.mails m where m.thread_id = $1 and m.accepted
                 and (m.received, m.mail_id) > ($3, $2)) then 'newer-mail'
    when exists (select from feedback.documents d where document_id = any($4::uuid[])
                 and {GONE}) then 'document-removed'
    when exists (select from feedback.drafts where mail_id = $2
                 and status in ('approved', 'edited')) then 'other-approved'
    when exists (select from feedback.replies where mail_id = $2 and state = 'sent')
        then 'already-answered'
end
"""  # noqa: S608 - of our constants alone
PUT_DOCUMENT = """
insert into feedback.documents as o (document_id, state, collection, name, title, url, audience,
    submitted, sha256, chunks, code, detail)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (document_id) do update set state = excluded.state, collection = excluded.collection,
    name = coalesce(nullif(excluded.name, ''), o.name),
    title = coalesce(nullif(excluded.title, ''), o.title), url = coalesce(excluded.url, o.url),
    audience = case excluded.state when 'indexed' then excluded.audience else o.audience end,
    submitted = excluded.submitted, sha256 = excluded.sha256,
    chunks = excluded.chunks, code = excluded.code, detail = excluded.detail
where (excluded.submitted, excluded.sha256) >= (o.submitted, o.sha256)
   or (excluded.state = 'removed' and excluded.submitted >= o.submitted)
returning state
"""
PUT_EVENT = """
insert into feedback.outbox (event_id, type, event) values ($1, $2, $3)
on conflict (event_id) do nothing
"""
# The oldest come first, so that no more than these are looked at.
FORGET_SAID = """
delete from feedback.outbox where position in (
    select position from (
        select position, said_at from feedback.outbox
        where said_at is not null order by position limit $1) oldest
    where said_at < now() - $2::interval)
"""
LIST = (
    SUMMARY  # noqa: S608 - both halves are constants
    + """
where ($1::text is null or d.status = $1) and ($2::text is null or d.mailbox = $2)
  and ($5::text[] is null or d.mailbox = any($5))
  and ($4::uuid is null or (d.created, d.draft_id) <
       (select created, draft_id from feedback.drafts
        where draft_id = $4 and ($5::text[] is null or mailbox = any($5))))
order by d.created desc, d.draft_id desc limit $3
"""
)
WAITING_CITING = f"""
{DRAFT} where d.status = 'waiting' and d.cited @> array[$1::uuid]
  and not exists (select from feedback.edits e where e.draft_id = d.draft_id)
order by d.draft_id for update of d
"""
PUT_VERSION = """
insert into feedback.document_versions (document_id, submitted, sha256, collection, name, title,
    url, audience, media_type, size, original_key, text_key, chunks, indexed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (document_id, submitted, sha256) do nothing
"""
# Of a waiting draft, or of all that cite a document: those of its documents that changed since.
FLAG_OUTDATED = """
with held as (
    select draft_id, data -> 'sources' as sources from feedback.drafts
    where status = 'waiting' and (draft_id = $1 or cited @> array[$2::uuid])
    order by draft_id for update),
changed as (
    select h.draft_id, coalesce(array_agg(distinct n.document_id) filter (
        where n.sha256 <> source #>> '{version,sha256}'
          and n.submitted > (source #>> '{version,submitted}')::timestamptz), '{}') as documents
    from held h left join jsonb_array_elements(h.sources) s (source) on true
    left join lateral (
        select * from feedback.document_versions v
        where v.document_id = (source ->> 'document_id')::uuid
        order by submitted desc, sha256 desc limit 1) n on true
    group by 1)
update feedback.drafts d set outdated = c.documents
from changed c where d.draft_id = c.draft_id and d.outdated <> c.documents
"""
PUT_REVIEW = """
insert into feedback.reviews (review_id, draft_id, decision, created, data, mailbox, edit_distance,
    words_changed, reasons, reviewer, seconds, added, numbers)
values ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, $11, $12::jsonb, $13::jsonb)
on conflict (review_id) do nothing returning true
"""
PUT_APPROVED = """
insert into feedback.replies (reply_id, mail_id, draft_id, mailbox, state, approved, data)
values ($1, $2, $3, $4, 'approved', $5, $6::jsonb) on conflict (reply_id) do nothing
"""
PUT_REPLY = """
insert into feedback.replies (reply_id, mail_id, draft_id, mailbox, state, approved, settled,
    message_id, why, text, comparison)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb)
on conflict (reply_id) do update set state = excluded.state, settled = excluded.settled,
    message_id = excluded.message_id, why = excluded.why, text = excluded.text,
    comparison = excluded.comparison, draft_id = excluded.draft_id
where replies.mail_id = excluded.mail_id
"""
REPLY = """
select reply_id, mail_id, draft_id, mailbox, state, approved, settled, message_id, why, text,
       comparison, data
from feedback.replies
"""
ONE_REPLY = f"{REPLY} where reply_id = $1 and ($2::text[] is null or mailbox = any($2))"
# A reply that was sent without an approval has the time of its sending.
REPLIES = (
    REPLY  # noqa: S608 - both halves are constants
    + """
where ($1::text is null or state = $1) and ($2::text is null or mailbox = $2)
  and ($5::text[] is null or mailbox = any($5))
  and ($4::uuid is null or (coalesce(approved, settled), reply_id) >
       (select coalesce(approved, settled), reply_id from feedback.replies
        where reply_id = $4 and ($5::text[] is null or mailbox = any($5))))
order by coalesce(approved, settled), reply_id limit $3
"""
)
ANSWERED_MAIL = """
select coalesce(
    (select mail_id from feedback.replies where reply_id = $1 and mailbox = $4),
    (select mail_id from feedback.mails where mail_id = $2 and mailbox = $4),
    (select mail_id from feedback.mails where mailbox = $4 and message_id = $3 and $3 <> ''
     order by received desc, mail_id limit 1))
"""
# Nothing of an e-mail that was erased before it came.
PUT_UNMATCHED = """
insert into feedback.unmatched (event_id, mailbox, mail_id, in_reply_to, heard, event)
select $1::uuid, $2::text, $3::uuid, $4::text, $5::timestamptz, $6::text
where not exists (select from feedback.erasures where mail_id = $3)
on conflict (event_id) do nothing
"""
UNMATCHED = """
select event from feedback.unmatched
where mail_id = $2 or (mailbox = $1 and in_reply_to = $3 and $3 <> '') order by heard, event_id
"""
