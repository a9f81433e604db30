-- migrate:up
-- What finds the thread of an e-mail whose headers lack or lie: hashes, no text of any e-mail.
alter table intake.mails
    -- SHA-256 of the subject without Re:, accents and punctuation; '' when there is none
    add column subject_sha256 text not null default '',
    -- SHA-256 of the addresses it is from and to, our own excepted
    add column people text[] not null default '{}';
create index mails_subject on intake.mails (mailbox, subject_sha256, received)
    where subject_sha256 <> '';
create index mails_thread on intake.mails (thread_id, received);

-- migrate:down
drop index intake.mails_thread;
drop index intake.mails_subject;
alter table intake.mails drop column people, drop column subject_sha256;
