-- migrate:up
-- Folded once, not at each look; capitals too, for databases whose locale lowers ASCII only.
create or replace function feedback.folded(told text) returns text
    language sql immutable parallel safe as $$
    select translate(lower(told), 'àâäáãåéèêëíîïìóôöòõúûüùýÿçñÀÂÄÁÃÅÉÈÊËÍÎÏÌÓÔÖÒÕÚÛÜÙÝŸÇÑ',
        'aaaaaaeeeeiiiiooooouuuuyycnaaaaaaeeeeiiiiooooouuuuyycn')
$$;
alter table feedback.mails add column searched text not null
    generated always as (feedback.folded(left(subject || ' ' || sender || ' ' || sender_name, 600)))
    stored;
-- A search reads all of this, which is a tenth of the table; 600 characters fit into an index.
create index mails_searched on feedback.mails (mail_id) include (searched);

-- A draft's data is large, and it never changes.
alter table feedback.drafts add column failed_checks integer not null generated always as
    (jsonb_array_length(jsonb_path_query_array(data, '$.checks[*] ? (@.passed == false)'))) stored;

-- migrate:down
alter table feedback.drafts drop column failed_checks;
alter table feedback.mails drop column searched;
