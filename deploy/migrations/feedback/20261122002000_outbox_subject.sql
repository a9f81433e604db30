-- migrate:up
-- What is still said of an e-mail is found without reading every event.
create index outbox_subject on feedback.outbox ((event::jsonb ->> 'subject'));

-- migrate:down
drop index feedback.outbox_subject;
