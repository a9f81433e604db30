-- migrate:up
-- A refused version that comes after a removal must not hide that the document was removed.
alter table feedback.documents add column removed timestamptz;
update feedback.documents set removed = submitted where state = 'removed';
create function feedback.keep_removal() returns trigger language plpgsql as $$
begin
    new.removed := greatest(case when tg_op = 'UPDATE' then old.removed end,
                            case when new.state = 'removed' then new.submitted end);
    return new;
end $$;
create trigger documents_removed before insert or update on feedback.documents
    for each row execute function feedback.keep_removal();

-- What was handed in at the desk, so that it is seen until its outcome comes.
create table feedback.submissions (
    submission_id uuid primary key,
    document_id uuid not null,
    collection text not null,
    name text not null,
    title text,
    url text,
    audience text not null,
    sha256 text not null,
    size bigint not null,
    account text not null,
    submitted timestamptz not null
);
create index submissions_document on feedback.submissions (document_id, submitted desc);
create index submissions_account on feedback.submissions (account, submitted desc);
create trigger submissions_tell after insert on feedback.submissions
    for each row execute function feedback.tell('document');

create index drafts_citing on feedback.drafts using gin (cited);

-- Each document as the desk shows it. For whom it is, its last version says, else its last
-- submission at the desk, else a refusal; a removal does not: null is shown to nobody whose
-- audiences are limited.
create view feedback.library as
select k.document_id,
    coalesce(v.collection, d.collection, s.collection) as collection,
    coalesce(nullif(v.name, ''), nullif(d.name, ''), s.name, '') as name,
    coalesce(nullif(v.title, ''), nullif(d.title, ''), s.title, '') as title,
    coalesce(v.url, d.url, s.url) as url,
    coalesce(v.audience, s.audience, case when d.state <> 'removed' then d.audience end) as audience,
    case when v.document_id is not null and (d.removed is null or v.submitted > d.removed)
              or d.state = 'indexed' then 'indexed'
         when s.submitted > coalesce(d.submitted, '-infinity') then 'reading'
         else d.state end as status,
    coalesce(v.sha256, d.sha256, '') as sha256,
    coalesce(v.chunks, d.chunks, 0) as chunks,
    v.indexed as indexed,
    -- a version that is being read; the same content under the same description is not read again
    case when s.submitted > coalesce(d.submitted, '-infinity')
              and not (s.sha256 = coalesce(v.sha256, '') and s.audience = v.audience
                       and v.submitted > coalesce(d.removed, '-infinity')
                       and coalesce(s.title, v.title) = v.title)
         then s.submitted end as reading_since,
    case when d.state = 'rejected' then d.submitted end as rejected,
    case when d.state = 'rejected' then d.code else '' end as code,
    case when d.state = 'rejected' then d.detail else '' end as detail,
    d.removed as removed,
    greatest(d.submitted, s.submitted, v.indexed) as changed
from (select document_id from feedback.documents
      union select document_id from feedback.submissions) k
left join feedback.documents d using (document_id)
left join (select distinct on (document_id) * from feedback.document_versions
           order by document_id, submitted desc, sha256 desc) v using (document_id)
left join (select distinct on (document_id) * from feedback.submissions
           order by document_id, submitted desc) s using (document_id);

-- migrate:down
drop view feedback.library;
drop index feedback.drafts_citing;
drop table feedback.submissions;
drop trigger documents_removed on feedback.documents;
drop function feedback.keep_removal();
alter table feedback.documents drop column removed;
