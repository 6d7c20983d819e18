-- The index, schema 0001. Never edited: a change is a new migration.

CREATE TABLE decision (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    study TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    content TEXT NOT NULL,
    applied BOOLEAN NOT NULL,
    message TEXT DEFAULT '' NOT NULL,
    applied_at FLOAT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX decision_by_study ON decision (study);

CREATE TABLE meta (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY ("key")
);


CREATE TABLE study (
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    state_since FLOAT DEFAULT '0' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    uid_digest TEXT,
    study_instance_uid TEXT,
    opened_at FLOAT NOT NULL,
    first_arrival_steady FLOAT DEFAULT '0' NOT NULL,
    last_arrival_steady FLOAT DEFAULT '0' NOT NULL,
    complete_now BOOLEAN DEFAULT '0' NOT NULL,
    called_ae_title TEXT DEFAULT '' NOT NULL,
    calling_ae_title TEXT DEFAULT '' NOT NULL,
    modality TEXT DEFAULT '' NOT NULL,
    route TEXT DEFAULT '' NOT NULL,
    series INTEGER DEFAULT '0' NOT NULL,
    generation INTEGER DEFAULT '0' NOT NULL,
    total INTEGER DEFAULT '0' NOT NULL,
    done INTEGER DEFAULT '0' NOT NULL,
    override TEXT DEFAULT '' NOT NULL,
    all_generations BOOLEAN DEFAULT '0' NOT NULL,
    warned_steady FLOAT DEFAULT '0' NOT NULL,
    purged_at FLOAT,
    received INTEGER DEFAULT '0' NOT NULL,
    waiting INTEGER DEFAULT '0' NOT NULL,
    deidentified INTEGER DEFAULT '0' NOT NULL,
    released INTEGER DEFAULT '0' NOT NULL,
    excluded INTEGER DEFAULT '0' NOT NULL,
    quarantined INTEGER DEFAULT '0' NOT NULL,
    duplicate INTEGER DEFAULT '0' NOT NULL,
    rejected INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (uid_digest)
);

CREATE INDEX study_by_age ON study (opened_at);
CREATE INDEX study_by_state ON study (state, purged_at, state_since);
CREATE INDEX study_by_uid ON study (study_instance_uid);

CREATE TABLE total (
    state TEXT NOT NULL,
    studies INTEGER DEFAULT '0' NOT NULL,
    received INTEGER DEFAULT '0' NOT NULL,
    waiting INTEGER DEFAULT '0' NOT NULL,
    deidentified INTEGER DEFAULT '0' NOT NULL,
    released INTEGER DEFAULT '0' NOT NULL,
    excluded INTEGER DEFAULT '0' NOT NULL,
    quarantined INTEGER DEFAULT '0' NOT NULL,
    duplicate INTEGER DEFAULT '0' NOT NULL,
    rejected INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (state)
);


CREATE TABLE association (
    id TEXT NOT NULL,
    study TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(study) REFERENCES study (id)
);

CREATE INDEX association_by_study ON association (study);

CREATE TABLE event (
    id INTEGER NOT NULL,
    study TEXT NOT NULL,
    at FLOAT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(study) REFERENCES study (id)
);

CREATE INDEX event_by_study ON event (study, id);

CREATE TABLE finding (
    id INTEGER NOT NULL,
    study TEXT NOT NULL,
    generation INTEGER NOT NULL,
    instance TEXT,
    "check" TEXT NOT NULL,
    severity TEXT NOT NULL,
    path TEXT NOT NULL,
    explanation TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(study) REFERENCES study (id)
);

CREATE INDEX finding_by_study ON finding (study, generation, instance);

CREATE TABLE generation (
    study TEXT NOT NULL,
    number INTEGER NOT NULL,
    route TEXT DEFAULT '' NOT NULL,
    profile TEXT DEFAULT '' NOT NULL,
    profile_digest TEXT DEFAULT '' NOT NULL,
    domain TEXT DEFAULT '' NOT NULL,
    key_fingerprint TEXT DEFAULT '' NOT NULL,
    patient_id TEXT DEFAULT '' NOT NULL,
    study_instance_uid TEXT DEFAULT '' NOT NULL,
    begun_at FLOAT NOT NULL,
    released_at FLOAT,
    released_steady FLOAT DEFAULT '0' NOT NULL,
    sequence INTEGER DEFAULT '0' NOT NULL,
    instances INTEGER DEFAULT '0' NOT NULL,
    manifest_digest TEXT DEFAULT '' NOT NULL,
    purged_at FLOAT,
    PRIMARY KEY (study, number),
    FOREIGN KEY(study) REFERENCES study (id)
);

CREATE INDEX generation_by_release ON generation (purged_at, released_steady);

CREATE TABLE instance (
    id TEXT NOT NULL,
    study TEXT NOT NULL,
    series INTEGER NOT NULL,
    state TEXT NOT NULL,
    released BOOLEAN DEFAULT '0' NOT NULL,
    generation INTEGER,
    reason TEXT DEFAULT '' NOT NULL,
    waits_for TEXT,
    attempts INTEGER DEFAULT '0' NOT NULL,
    conflict_with TEXT,
    purged BOOLEAN DEFAULT '0' NOT NULL,
    arrived_at FLOAT NOT NULL,
    bytes INTEGER NOT NULL,
    sop_class_uid TEXT DEFAULT '' NOT NULL,
    transfer_syntax_uid TEXT DEFAULT '' NOT NULL,
    modality TEXT DEFAULT '' NOT NULL,
    called_ae_title TEXT DEFAULT '' NOT NULL,
    calling_ae_title TEXT DEFAULT '' NOT NULL,
    sop_digest TEXT NOT NULL,
    sop_instance_uid TEXT,
    series_digest TEXT NOT NULL,
    series_instance_uid TEXT,
    patient_digest TEXT NOT NULL,
    patient_id TEXT,
    issuer_of_patient_id TEXT,
    source_digest TEXT DEFAULT '' NOT NULL,
    output_sop_instance_uid TEXT DEFAULT '' NOT NULL,
    output_sha256 TEXT DEFAULT '' NOT NULL,
    output_bytes INTEGER DEFAULT '0' NOT NULL,
    variants TEXT DEFAULT '' NOT NULL,
    facts TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(study) REFERENCES study (id)
);

CREATE INDEX instance_by_patient ON instance (patient_id);
CREATE INDEX instance_by_series ON instance (study, series_digest, series);
CREATE INDEX instance_by_sop_uid ON instance (sop_instance_uid);
CREATE INDEX instance_by_uid ON instance (study, sop_digest);
CREATE INDEX instance_by_work ON instance (study, generation, state);

CREATE TABLE job (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    study TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    instances TEXT NOT NULL,
    bytes INTEGER DEFAULT '0' NOT NULL,
    largest INTEGER DEFAULT '0' NOT NULL,
    FOREIGN KEY(study) REFERENCES study (id)
);

CREATE INDEX job_by_state ON job (state, study, id);

CREATE TRIGGER instance_came AFTER INSERT ON instance BEGIN
    UPDATE study SET received = received + (1), waiting = waiting + (NEW.state = 'RECEIVED'), deidentified = deidentified + (NEW.state = 'DEIDENTIFIED' AND NOT NEW.released), released = released + (NEW.state = 'DEIDENTIFIED' AND NEW.released), excluded = excluded + (NEW.state = 'EXCLUDED'), quarantined = quarantined + (NEW.state = 'QUARANTINED'), duplicate = duplicate + (NEW.state = 'DUPLICATE'), rejected = rejected + (NEW.state = 'REJECTED'), total = total + (NEW.generation IS generation), done = done + (NEW.generation IS generation AND (NEW.state <> 'RECEIVED' OR NEW.waits_for IS NOT NULL)) WHERE id = NEW.study;
    END;

CREATE TRIGGER instance_moved
    AFTER UPDATE OF state, released, generation, waits_for ON instance BEGIN
    UPDATE study SET waiting = waiting - (OLD.state = 'RECEIVED') + (NEW.state = 'RECEIVED'), deidentified = deidentified - (OLD.state = 'DEIDENTIFIED' AND NOT OLD.released) + (NEW.state = 'DEIDENTIFIED' AND NOT NEW.released), released = released - (OLD.state = 'DEIDENTIFIED' AND OLD.released) + (NEW.state = 'DEIDENTIFIED' AND NEW.released), excluded = excluded - (OLD.state = 'EXCLUDED') + (NEW.state = 'EXCLUDED'), quarantined = quarantined - (OLD.state = 'QUARANTINED') + (NEW.state = 'QUARANTINED'), duplicate = duplicate - (OLD.state = 'DUPLICATE') + (NEW.state = 'DUPLICATE'), rejected = rejected - (OLD.state = 'REJECTED') + (NEW.state = 'REJECTED'), total = total - (OLD.generation IS generation) + (NEW.generation IS generation), done = done - (OLD.generation IS generation AND (OLD.state <> 'RECEIVED' OR OLD.waits_for IS NOT NULL)) + (NEW.generation IS generation AND (NEW.state <> 'RECEIVED' OR NEW.waits_for IS NOT NULL)) WHERE id = NEW.study;
    END;

CREATE TRIGGER instance_went AFTER DELETE ON instance BEGIN
    UPDATE study SET received = received - (1), waiting = waiting - (OLD.state = 'RECEIVED'), deidentified = deidentified - (OLD.state = 'DEIDENTIFIED' AND NOT OLD.released), released = released - (OLD.state = 'DEIDENTIFIED' AND OLD.released), excluded = excluded - (OLD.state = 'EXCLUDED'), quarantined = quarantined - (OLD.state = 'QUARANTINED'), duplicate = duplicate - (OLD.state = 'DUPLICATE'), rejected = rejected - (OLD.state = 'REJECTED'), total = total - (OLD.generation IS generation), done = done - (OLD.generation IS generation AND (OLD.state <> 'RECEIVED' OR OLD.waits_for IS NOT NULL)) WHERE id = OLD.study;
    END;

CREATE TRIGGER study_came AFTER INSERT ON study BEGIN
    INSERT OR IGNORE INTO total (state) VALUES (NEW.state);
    UPDATE total SET studies = studies + 1, received = received + NEW.received, waiting = waiting + NEW.waiting, deidentified = deidentified + NEW.deidentified, released = released + NEW.released, excluded = excluded + NEW.excluded, quarantined = quarantined + NEW.quarantined, duplicate = duplicate + NEW.duplicate, rejected = rejected + NEW.rejected WHERE state = NEW.state;
    END;

CREATE TRIGGER study_moved AFTER UPDATE OF state, received, waiting, deidentified, released, excluded, quarantined, duplicate, rejected ON study BEGIN
    INSERT OR IGNORE INTO total (state) VALUES (NEW.state);
    UPDATE total SET studies = studies - 1, received = received - OLD.received, waiting = waiting - OLD.waiting, deidentified = deidentified - OLD.deidentified, released = released - OLD.released, excluded = excluded - OLD.excluded, quarantined = quarantined - OLD.quarantined, duplicate = duplicate - OLD.duplicate, rejected = rejected - OLD.rejected WHERE state = OLD.state;
    UPDATE total SET studies = studies + 1, received = received + NEW.received, waiting = waiting + NEW.waiting, deidentified = deidentified + NEW.deidentified, released = released + NEW.released, excluded = excluded + NEW.excluded, quarantined = quarantined + NEW.quarantined, duplicate = duplicate + NEW.duplicate, rejected = rejected + NEW.rejected WHERE state = NEW.state;
    END;

CREATE TRIGGER study_went AFTER DELETE ON study BEGIN
    UPDATE total SET studies = studies - 1, received = received - OLD.received, waiting = waiting - OLD.waiting, deidentified = deidentified - OLD.deidentified, released = released - OLD.released, excluded = excluded - OLD.excluded, quarantined = quarantined - OLD.quarantined, duplicate = duplicate - OLD.duplicate, rejected = rejected - OLD.rejected WHERE state = OLD.state;
    END;
