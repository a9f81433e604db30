"""The statements over the schema `feedback`; its tables are in deploy/migrations/feedback."""

DRAFT = """
select d.draft_id, d.outcome, d.status, d.status_detail, d.created, d.traceparent, d.data,
       r.created as reviewed, r.data as review
from feedback.drafts d left join feedback.reviews r using (draft_id)
"""
SUMMARY = """
select d.draft_id, d.mail_id, d.mailbox, d.request_id, d.outcome, d.status, d.status_detail,
       d.evidence, d.engine, d.created, left(d.text, 1000) as text,
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
ONE_REVIEW = """
select r.created, r.data from feedback.reviews r join feedback.drafts d using (draft_id)
where r.review_id = $1 and ($2::text[] is null or d.mailbox = any($2))
"""
DOCUMENTS = f"""{DOCUMENT} where $2::text[] is null or audience = any($2)
order by submitted desc, document_id limit $1
"""

PUT_MAIL = """
insert into feedback.mails as m (mail_id, mailbox, thread_id, message_id, sender, sender_name,
    subject, received, accepted, outcome, block)
values ($1, $2, $3, $4, $5, $6, $7, $8, true, 'pending', $9::jsonb)
on conflict (mail_id) do update set accepted = true, thread_id = excluded.thread_id,
    block = excluded.block,
    outcome = case when m.reason = 'duplicate' then 'pending' else m.outcome end,
    detail = case when m.reason = 'duplicate' then '' else m.detail end,
    decided = case when m.reason = 'duplicate' then null else m.decided end,
    reason = case when m.reason = 'duplicate' then '' else m.reason end
"""
PUT_SKIPPED = """
insert into feedback.mails (mail_id, mailbox, message_id, sender, sender_name, subject, received,
    outcome, reason, detail, decided)
values ($1, $2, $3, $4, $5, $6, $7, 'skipped', $8, $9, $7)
on conflict (mail_id) do nothing
"""
PUT_DRAFT = """
insert into feedback.drafts (draft_id, mail_id, mailbox, outcome, status, request_id, text,
    evidence, engine, created, cited, traceparent, data)
values ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, $9, $10, $11, $12::jsonb)
on conflict (draft_id) do nothing returning draft_id
"""
# Another draft that is declined does not hide the one that is there.
DECIDE = """
update feedback.mails set outcome = $2, draft_id = $3, reason = $4, detail = $5, decided = $6
where mail_id = $1 and (decided is null or decided <= $6)
  and not ($2 = 'declined' and outcome = 'draft')
"""
OLDER_WAITING = f"""
{DRAFT} join feedback.mails m using (mail_id)
where d.status = 'waiting' and m.thread_id = $1 and m.mail_id <> $2
  and (m.received, m.mail_id) < ($3, $2)
order by d.draft_id for update of d
"""
OF_SAME_MAIL = (
    DRAFT  # noqa: S608 - both halves are constants
    + """
where d.mail_id = (select mail_id from feedback.drafts
                   where draft_id = $1 and ($2::text[] is null or mailbox = any($2)))
order by d.draft_id for update of d
"""
)
LOCK_THREAD = """
select pg_advisory_xact_lock(hashtextextended(m.thread_id::text, 0))
from feedback.drafts d join feedback.mails m using (mail_id) where d.draft_id = $1
"""
NEXT_REQUEST = """
update feedback.mails m set requests = 1 + greatest(m.requests,
    (select max(request_id) from feedback.drafts d where d.mail_id = m.mail_id))
where mail_id = $1 returning requests
"""
OVERTAKEN = """
select case
    when exists (select from feedback.mails m where m.thread_id = $1 and m.accepted
                 and (m.received, m.mail_id) > ($3, $2)) then 'newer-mail'
    when exists (select from feedback.documents where document_id = any($4::uuid[])
                 and state = 'removed') then 'document-removed'
    when exists (select from feedback.drafts where mail_id = $2
                 and status in ('approved', 'edited')) then 'other-approved'
end
"""
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
order by d.draft_id for update of d
"""
