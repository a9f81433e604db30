-- migrate:up
-- A refusal now says for whom the document was to be.
create or replace view feedback.library as
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
create or replace view feedback.library as
select k.document_id,
    coalesce(v.collection, d.collection, s.collection) as collection,
    coalesce(nullif(v.name, ''), nullif(d.name, ''), s.name, '') as name,
    coalesce(nullif(v.title, ''), nullif(d.title, ''), s.title, '') as title,
    coalesce(v.url, d.url, s.url) as url,
    coalesce(v.audience, s.audience, case when d.state = 'indexed' then d.audience end) as audience,
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
