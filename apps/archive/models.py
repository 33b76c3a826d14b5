"""Patient > Study > Series > Instance, and what was derived from each instance's bytes at ingest.

Columns are named after their attribute (`study_date` is StudyDate); `apps.archive.checks` fails
when a row of `apps.dicom.attributes` and its column do not pair up. Text is normalised DICOM text.
No logic lives here: state changes are in `actions/`, questions in `selectors.py`.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from apps.indexing.columns import AttributeColumn, ExactText, FoldedNameColumn, NumberColumn


class Provenance(models.Model):
    """Which door an object came by, from whom, and when its last byte was durable."""

    source_ae_title = ExactText("AE title of the sender", default="", blank=True)
    source_address = ExactText("address of the sender", default="", blank=True)
    source_door = ExactText("door", default="", blank=True)
    received_at = models.DateTimeField()

    class Meta:
        abstract = True


class Patient(Provenance):
    """One person as the issuing authority knows them (PS3.3 C.7.1.1).

    `identity_key` is `PatientID` + NUL-free separator + issuer; an object without Patient ID gets
    a patient of its own per study, so that unnamed objects never become one person.
    """

    identity_key = ExactText(unique=True)
    patient_id = AttributeColumn("PatientID")
    issuer_of_patient_id = AttributeColumn("IssuerOfPatientID")
    patient_name = AttributeColumn("PatientName")
    patient_name_alphabetic = FoldedNameColumn()
    patient_name_ideographic = FoldedNameColumn()
    patient_name_phonetic = FoldedNameColumn()
    patient_birth_date = AttributeColumn("PatientBirthDate")
    patient_sex = AttributeColumn("PatientSex")
    other_patient_ids = AttributeColumn("OtherPatientIDs")
    ethnic_group = AttributeColumn("EthnicGroup")
    patient_comments = AttributeColumn("PatientComments")
    number_of_patient_related_studies = models.BigIntegerField(default=0)
    number_of_patient_related_series = models.BigIntegerField(default=0)
    number_of_patient_related_instances = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["patient_id"]),
            models.Index(fields=["patient_name_alphabetic", "id"]),
            models.Index(fields=["patient_name_ideographic"]),
            models.Index(fields=["patient_name_phonetic"]),
            models.Index(fields=["patient_birth_date"]),
        ]

    def __str__(self) -> str:
        return f"patient {self.pk}"


class Study(Provenance):
    """One study (PS3.3 C.7.2.1), with the patient attributes as this study's objects state them.

    Study Root treats patient attributes as attributes of the study (PS3.4 C.3.2): two spellings
    give two answers, so they are kept here and not only on the Patient.
    """

    class State(models.TextChoices):
        RECEIVING = "receiving", "receiving"
        COMPLETE = "complete", "complete"
        READ = "read", "read"

    # Not `patient`: its column would be `patient_id`, which is the attribute PatientID.
    patient_entity = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="studies")
    study_instance_uid = AttributeColumn("StudyInstanceUID", unique=True)

    patient_name = AttributeColumn("PatientName")
    patient_name_alphabetic = FoldedNameColumn()
    patient_name_ideographic = FoldedNameColumn()
    patient_name_phonetic = FoldedNameColumn()
    patient_id = AttributeColumn("PatientID")
    issuer_of_patient_id = AttributeColumn("IssuerOfPatientID")
    patient_birth_date = AttributeColumn("PatientBirthDate")
    patient_sex = AttributeColumn("PatientSex")
    other_patient_ids = AttributeColumn("OtherPatientIDs")
    ethnic_group = AttributeColumn("EthnicGroup")
    patient_comments = AttributeColumn("PatientComments")

    study_date = AttributeColumn("StudyDate")
    study_time = AttributeColumn("StudyTime")
    accession_number = AttributeColumn("AccessionNumber")
    study_id = AttributeColumn("StudyID")
    study_description = AttributeColumn("StudyDescription")
    referring_physician_name = AttributeColumn("ReferringPhysicianName")
    referring_physician_name_alphabetic = FoldedNameColumn()
    referring_physician_name_ideographic = FoldedNameColumn()
    referring_physician_name_phonetic = FoldedNameColumn()
    name_of_physicians_reading_study = AttributeColumn("NameOfPhysiciansReadingStudy")
    name_of_physicians_reading_study_alphabetic = FoldedNameColumn()
    name_of_physicians_reading_study_ideographic = FoldedNameColumn()
    name_of_physicians_reading_study_phonetic = FoldedNameColumn()
    admitting_diagnoses_description = AttributeColumn("AdmittingDiagnosesDescription")
    patient_age = AttributeColumn("PatientAge")
    patient_size = AttributeColumn("PatientSize")
    patient_weight = AttributeColumn("PatientWeight")
    timezone_offset_from_utc = ExactText(default="", blank=True)

    modalities_in_study = AttributeColumn("ModalitiesInStudy")
    sop_classes_in_study = AttributeColumn("SOPClassesInStudy")
    number_of_study_related_series = models.BigIntegerField(default=0)
    number_of_study_related_instances = models.BigIntegerField(default=0)
    body_parts_examined = ExactText(default="", blank=True)
    station_names = ExactText(default="", blank=True)
    # DICOM JSON of attributes without a column: see `apps.dicom.level_attributes`.
    stored_attributes = models.TextField(default="", blank=True)
    size_bytes = models.BigIntegerField(default=0)

    state = models.CharField(max_length=16, choices=State, default=State.RECEIVING)
    last_received_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    # Who marked it as read, and when; empty again as soon as another instance arrives.
    read_at = models.DateTimeField(null=True, blank=True)
    read_by = models.CharField(max_length=256, default="", blank=True)

    class Meta:
        verbose_name_plural = "studies"
        indexes = [
            models.Index(fields=["study_date", "study_time", "id"]),
            models.Index(fields=["patient_name_alphabetic", "id"]),
            models.Index(fields=["patient_name_ideographic"]),
            models.Index(fields=["patient_name_phonetic"]),
            models.Index(fields=["patient_id", "id"]),
            models.Index(fields=["accession_number"]),
            models.Index(fields=["study_id"]),
            models.Index(fields=["study_description"]),
            models.Index(fields=["patient_birth_date"]),
            models.Index(fields=["referring_physician_name_alphabetic"]),
            models.Index(fields=["received_at", "id"]),
            models.Index(fields=["last_received_at", "id"]),
            models.Index(fields=["state", "last_received_at"]),
            # The list is sorted by these; the first is also what a search by modality scans.
            models.Index(fields=["modalities_in_study", "id"]),
            models.Index(fields=["number_of_study_related_instances", "id"]),
            # Which offsets there are is asked by every query with a time zone.
            models.Index(
                fields=["timezone_offset_from_utc"],
                condition=models.Q(timezone_offset_from_utc__gt=""),
                name="archive_study_offsets",
            ),
        ]

    def __str__(self) -> str:
        return f"study {self.study_instance_uid}"


class StudySearchToken(models.Model):
    """A folded word of a study's patient names and identifiers, for prefix search as one types."""

    # Foreign keys without an index of their own, here and below: a wider one begins with them.
    study = models.ForeignKey(
        Study, on_delete=models.CASCADE, related_name="search_tokens", db_index=False
    )
    token = ExactText()

    class Meta:
        indexes = [models.Index(fields=["study", "token"])]
        constraints = [
            models.UniqueConstraint(fields=["token", "study"], name="search_token_once_per_study")
        ]

    def __str__(self) -> str:
        return f"token of study {self.study_id}"


class StudyAlert(models.Model):
    """Why somebody has to look at a study: one sentence for each cause, gone when it is settled."""

    class Cause(models.TextChoices):
        QUARANTINE = "quarantine", "objects of this study are in quarantine"
        DAMAGE = "damage", "stored bytes of this study are missing or altered"
        POLARITY = "polarity", "images of this study appear with black and white exchanged"

    study = models.ForeignKey(
        Study, on_delete=models.CASCADE, related_name="alerts", db_index=False
    )
    cause = models.CharField(max_length=32, choices=Cause)
    text = models.TextField()
    raised_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "cause"], name="study_alert_once_per_cause")
        ]

    def __str__(self) -> str:
        return f"alert of study {self.study_id}"


class SavedFilter(models.Model):
    """A filter of the study list that a user kept under a name; `asked` as the list takes it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="saved_filters",
        db_index=False,
    )
    name = models.CharField(max_length=64)
    asked = models.JSONField(default=dict)
    sort = models.CharField(max_length=64, default="", blank=True)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="saved_filter_name_once")
        ]

    def __str__(self) -> str:
        return f"filter {self.pk}"


class NameWord(models.Model):
    """A folded word that some person's name holds; each once, however many bear it."""

    word = ExactText(unique=True)

    def __str__(self) -> str:
        return f"name word {self.pk}"


class NameWordKey(models.Model):
    """A sound or near spelling by which a word is found (`apps.dicom.name_sounds.word_keys`)."""

    word = models.ForeignKey(NameWord, on_delete=models.CASCADE, related_name="keys")
    key = ExactText()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "word"], name="name_key_once_per_word")
        ]

    def __str__(self) -> str:
        return f"key of name word {self.word_id}"


class StudyName(models.Model):
    """A word of one of a study's names; `tag` says of which (Patient's, Referring Physician's)."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="name_words")
    word = models.ForeignKey(
        NameWord, on_delete=models.CASCADE, related_name="studies", db_index=False
    )
    tag = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["word", "tag", "study"], name="name_word_once_per_study"
            )
        ]

    def __str__(self) -> str:
        return f"name word of study {self.study_id}"


class Series(Provenance):
    """One series (PS3.3 C.7.3.1)."""

    study = models.ForeignKey(
        Study, on_delete=models.CASCADE, related_name="series", db_index=False
    )
    series_instance_uid = AttributeColumn("SeriesInstanceUID", unique=True)
    modality = AttributeColumn("Modality")
    series_number = NumberColumn("SeriesNumber")
    series_description = AttributeColumn("SeriesDescription")
    series_date = AttributeColumn("SeriesDate")
    series_time = AttributeColumn("SeriesTime")
    body_part_examined = AttributeColumn("BodyPartExamined")
    laterality = AttributeColumn("Laterality")
    protocol_name = AttributeColumn("ProtocolName")
    manufacturer = AttributeColumn("Manufacturer")
    manufacturer_model_name = AttributeColumn("ManufacturerModelName")
    station_name = AttributeColumn("StationName")
    institution_name = AttributeColumn("InstitutionName")
    institutional_department_name = AttributeColumn("InstitutionalDepartmentName")
    operators_name = AttributeColumn("OperatorsName")
    operators_name_alphabetic = FoldedNameColumn()
    operators_name_ideographic = FoldedNameColumn()
    operators_name_phonetic = FoldedNameColumn()
    performing_physician_name = AttributeColumn("PerformingPhysicianName")
    performing_physician_name_alphabetic = FoldedNameColumn()
    performing_physician_name_ideographic = FoldedNameColumn()
    performing_physician_name_phonetic = FoldedNameColumn()
    frame_of_reference_uid = AttributeColumn("FrameOfReferenceUID")
    performed_procedure_step_start_date = AttributeColumn("PerformedProcedureStepStartDate")
    performed_procedure_step_start_time = AttributeColumn("PerformedProcedureStepStartTime")
    number_of_series_related_instances = models.BigIntegerField(default=0)
    stored_attributes = models.TextField(default="", blank=True)
    size_bytes = models.BigIntegerField(default=0)
    last_received_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "series"
        indexes = [
            models.Index(fields=["study", "modality"]),
            models.Index(fields=["modality"]),
            models.Index(fields=["body_part_examined"]),
            models.Index(fields=["station_name"]),
        ]

    def __str__(self) -> str:
        return f"series {self.series_instance_uid}"


class Instance(Provenance):
    """One instance and where its blob lies. Columns for queries; everything else is metadata."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="instances")
    series = models.ForeignKey(
        Series, on_delete=models.CASCADE, related_name="instances", db_index=False
    )
    sop_instance_uid = AttributeColumn("SOPInstanceUID", unique=True)
    sop_class_uid = AttributeColumn("SOPClassUID")
    instance_number = NumberColumn("InstanceNumber")
    acquisition_number = NumberColumn("AcquisitionNumber")
    acquisition_date = AttributeColumn("AcquisitionDate")
    acquisition_time = AttributeColumn("AcquisitionTime")
    content_date = AttributeColumn("ContentDate")
    content_time = AttributeColumn("ContentTime")
    image_type = AttributeColumn("ImageType")
    rows = NumberColumn("Rows")
    columns = NumberColumn("Columns")
    bits_allocated = NumberColumn("BitsAllocated")
    number_of_frames = NumberColumn("NumberOfFrames")
    photometric_interpretation = AttributeColumn("PhotometricInterpretation")
    completion_flag = AttributeColumn("CompletionFlag")
    verification_flag = AttributeColumn("VerificationFlag")
    content_label = AttributeColumn("ContentLabel")
    lossy_image_compression = AttributeColumn("LossyImageCompression")

    transfer_syntax_uid = ExactText()
    blob_key = ExactText(unique=True)
    size_bytes = models.BigIntegerField()
    dataset_offset = models.BigIntegerField()
    dataset_sha256 = models.BinaryField(max_length=32)
    # Null for what was indexed before this was written down.
    indexed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["series", "instance_number", "id"]),
            models.Index(fields=["sop_class_uid"]),
        ]

    def __str__(self) -> str:
        return f"instance {self.sop_instance_uid}"


class Amendment(models.Model):
    """What rules changed of an instance on arrival: given out with it, its blob stays as received.

    `layers` are `apps.dicom.amendments.packed`; `rules` their names, one a line.
    """

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="amendment"
    )
    layers = models.BinaryField()
    rules = models.TextField(default="", blank=True)
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"amendment of instance {self.pk}"


class Receipt(models.Model):
    """What was proved of an instance's bytes since they were stored; no row: nothing yet.

    That it was received and its hash were written down with the instance. `verified_at` is when
    the blob was last read back and compared; `committed` that a peer was told so by storage
    commitment, `copied` that a peer told us so of its copy. Titles are joined by a backslash.
    """

    class Verdict(models.TextChoices):
        GOOD = "good", "as received"
        MISSING = "missing", "missing"
        ALTERED = "altered", "altered"

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="receipt"
    )
    verdict = models.CharField(max_length=8, choices=Verdict, blank=True, default="")
    verified_at = models.DateTimeField(null=True, blank=True)
    committed_at = models.DateTimeField(null=True, blank=True)
    committed_to = models.CharField(max_length=255, blank=True, default="")
    copied_at = models.DateTimeField(null=True, blank=True)
    copied_to = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["instance"],
                condition=models.Q(verdict__in=["missing", "altered"]),
                name="archive_receipt_damaged",
            ),
        ]

    def __str__(self) -> str:
        return f"receipt of instance {self.pk}"


class CompressedInstance(models.Model):
    """A blob that took the place of the one received, with the proof that its pixels are the same.

    The row outlives the received blob and the instance: by it the very bytes that were received are
    recognised when they come again. `pixels_before` and `pixels_after` are SHA-256 of all frames,
    uncompressed, in Little Endian and colour by pixel, each made from its own blob.
    """

    class State(models.TextChoices):
        MAKING = "making", "being made"
        KEPT = "kept", "compressed, original kept"
        REMOVING = "removing", "compressed, original being removed"
        REMOVED = "removed", "compressed, original removed"
        RESTORED = "restored", "original in use again"

    sop_instance_uid = ExactText("SOP Instance UID")
    study_instance_uid = ExactText("Study Instance UID")
    state = models.CharField(max_length=8, choices=State, default=State.MAKING)
    rule = ExactText("rule", default="", blank=True)
    transfer_syntax_uid = ExactText("Transfer Syntax")
    blob_key = ExactText("compressed blob", unique=True)
    size_bytes = models.BigIntegerField("bytes")
    dataset_sha256 = models.BinaryField(max_length=32)
    original_transfer_syntax_uid = ExactText("received in Transfer Syntax")
    original_blob_key = ExactText("received blob")
    original_size_bytes = models.BigIntegerField("bytes received")
    original_dataset_sha256 = models.BinaryField(max_length=32)
    frames = models.PositiveIntegerField(default=0)
    pixels_before = models.BinaryField(max_length=32, default=b"")
    pixels_after = models.BinaryField(max_length=32, default=b"")
    codecs = models.CharField("encoder and decoder", max_length=200, default="", blank=True)
    made_at = models.DateTimeField()
    # When the blob that is not in use is removed; null once it is gone.
    removal_due_at = models.DateTimeField("other blob removed after", null=True, blank=True)

    class Meta:
        verbose_name = "compressed instance"
        indexes = [
            models.Index(fields=["sop_instance_uid"]),
            models.Index(fields=["study_instance_uid"]),
            models.Index(fields=["original_blob_key"]),
            models.Index(fields=["state", "removal_due_at"]),
        ]

    def __str__(self) -> str:
        return f"compression of instance {self.sop_instance_uid}"


class NonPatientInstance(Provenance):
    """An instance that belongs to no patient and no study: palettes, protocols, templates.

    `resource` is its category by PS3.18 12.1.1. Its DICOM JSON stands in the row: there are few of
    them, and they are small. `verdict` is what reading its bytes back showed last.
    """

    resource = models.CharField(max_length=32)
    sop_instance_uid = ExactText(unique=True)
    sop_class_uid = ExactText()
    label = ExactText(default="", blank=True)
    description = ExactText(default="", blank=True)
    transfer_syntax_uid = ExactText()
    blob_key = ExactText(unique=True)
    size_bytes = models.BigIntegerField()
    dataset_offset = models.BigIntegerField()
    dataset_sha256 = models.BinaryField(max_length=32)
    fragment = models.BinaryField()
    verdict = models.CharField(
        max_length=16, choices=Receipt.Verdict, blank=True, default="", editable=False
    )
    verified_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "instance without patient"
        verbose_name_plural = "instances without patient"
        indexes = [models.Index(fields=["resource", "label", "id"])]

    def __str__(self) -> str:
        return f"non-patient instance {self.sop_instance_uid}"


class PrivateAttribute(models.Model):
    """A private attribute that an administrator has indexed: found and answered like a column.

    It is known by its creator, group and last byte; which block of the group a device puts it in
    varies (PS3.5 7.8.1). `asked` is what it was when its values began to be collected: as something
    else it is collected anew. Only one that is collected is searched by.
    """

    class Level(models.TextChoices):
        STUDY = "STUDY", "study"
        SERIES = "SERIES", "series"
        INSTANCE = "IMAGE", "instance"

    class State(models.TextChoices):
        RUNNING = "running", "being collected"
        PAUSED = "paused", "paused"
        CANCELLED = "cancelled", "cancelled"
        DONE = "done", "searchable"

    # TABLE: what can be searched; the others are bytes, sequences, names, or moments with a zone.
    VRS: Final = ("AE", "AS", "CS", "DA", "DS", "IS", "LO", "LT", "SH", "SL", "SS", "ST", "TM",
                  "UC", "UI", "UL", "US", "UT")  # fmt: skip

    name = models.CharField(max_length=100, unique=True)
    creator = ExactText("Private Creator", help_text="As the device writes it, such as ACME 1.1")
    group = models.CharField(
        max_length=4,
        validators=[RegexValidator(r"^[0-9A-Fa-f]{3}[13579BDFbdf]\Z", "Four digits, odd: 0029.")],
        help_text="Four hexadecimal digits, such as 0029",
    )
    element = models.CharField(
        max_length=2,
        validators=[RegexValidator(r"^[0-9A-Fa-f]{2}\Z", "Two hexadecimal digits: 10.")],
        help_text="The last two hexadecimal digits: 10 of (0029,xx10)",
    )
    vr = models.CharField("VR", max_length=2, choices=[(vr, vr) for vr in VRS], default="LO")
    level = models.CharField(max_length=8, choices=Level, default=Level.STUDY)
    state = models.CharField(max_length=16, choices=State, default=State.RUNNING, editable=False)
    asked = models.TextField(default="", blank=True, editable=False)
    cursor = models.BigIntegerField("last instance looked at", default=0, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["creator", "group", "element"], name="private_attribute_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class PrivateValue(models.Model):
    """One value that an instance has of an indexed private attribute, as normalised text."""

    attribute = models.ForeignKey(PrivateAttribute, on_delete=models.CASCADE, db_index=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="+", db_index=False)
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    instance = models.ForeignKey(
        Instance, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    value = ExactText()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["instance", "attribute", "value"], name="private_value_once"
            )
        ]
        indexes = [
            models.Index(fields=["attribute", "value", "study", "series", "instance"]),
            models.Index(fields=["study", "attribute"]),
            models.Index(fields=["series", "attribute"]),
        ]

    def __str__(self) -> str:
        return f"private value of instance {self.instance_id}"


class Metadata(models.Model):
    """The instance's DICOM JSON (PS3.18 F) as prepared bytes: see `apps.archive.fragments`."""

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="metadata"
    )
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="+", db_index=False)
    instance_number = models.BigIntegerField(null=True)
    fragment = models.BinaryField()

    class Meta:
        verbose_name_plural = "metadata"
        indexes = [models.Index(fields=["series", "instance_number", "instance"])]

    def __str__(self) -> str:
        return f"metadata of instance {self.pk}"


class FrameTable(models.Model):
    """Where each frame lies in the blob: `apps.dicom.frames.FrameTable` in packed form."""

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="frame_table"
    )
    packed = models.BinaryField()

    def __str__(self) -> str:
        return f"frame table of instance {self.pk}"
