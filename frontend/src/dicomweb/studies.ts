/** The study list's own resources: rows, changes, session, demo studies. */
import { today } from "./calendar";
import { csrfHeaders, getJson, postJson, reach, unsafeJson } from "./rest";

export interface StudyRow {
	StudyInstanceUID: string;
	PatientName: string;
	PatientID: string;
	IssuerOfPatientID: string;
	PatientBirthDate: string;
	PatientSex: string;
	PatientAge: string;
	StudyDate: string;
	StudyTime: string;
	AccessionNumber: string;
	StudyDescription: string;
	ReferringPhysicianName: string;
	ModalitiesInStudy: string[];
	NumberOfStudyRelatedSeries: number;
	NumberOfStudyRelatedInstances: number;
	body_parts: string[];
	stations: string[];
	state: "receiving" | "complete" | "read";
	read_by: string;
	read_at: string | null;
	/** Why somebody has to look at it: the cause, and a sentence. */
	alerts: { cause: string; text: string }[];
	sender: string;
	door: string;
	received_at: string;
	last_received_at: string;
	size_bytes: number;
}

export interface StudyFilter {
	q: string;
	/** A span that moves with the calendar: today, yesterday, 7d, 30d; else the two ends below. */
	date: string;
	date_from: string;
	date_to: string;
	modality: string[];
	description: string;
	body_part: string;
	accession: string;
	referring: string;
	station: string;
	state: string;
}

export interface StudyPage {
	studies: StudyRow[];
	next: string | null;
	total: number;
	total_is_exact: boolean;
	/** Which single filter, once lifted, would bring most rows back; only on an empty answer. */
	excluded_by: { filter: keyof StudyFilter; count: number }[];
	/** Where lifting one filter is not enough: what each finds alone. */
	found_by: { filter: keyof StudyFilter; count: number }[];
	/** Nothing is stored at all. */
	archive_is_empty: boolean;
}

export interface Session {
	user: string;
	full_name: string;
	staff: boolean;
	permissions: string[];
	csrf_token: string;
	ae_title: string;
	dicom_host: string;
	dicom_port: number;
}

export interface Changes {
	sequence: number;
	more: boolean;
	studies: string[];
}

export function studyQuery(filter: StudyFilter, sort: string): URLSearchParams {
	const query = new URLSearchParams();
	for (const [key, value] of Object.entries(filter)) {
		if (Array.isArray(value)) for (const each of value) query.append(key, each);
		else if (value) query.set(key, value);
	}
	query.set("sort", sort);
	return query;
}

export function fetchStudies(
	filter: StudyFilter,
	sort: string,
	cursor: string | null,
	signal?: AbortSignal,
): Promise<StudyPage> {
	const query = studyQuery(filter, sort);
	if (filter.date) query.set("today", today());
	if (cursor) query.set("cursor", cursor);
	return getJson<StudyPage>(`/api/studies/?${query}`, signal);
}

/** The rows of these studies as they are now; a study that went is missing in the answer. */
export async function fetchStudyRows(uids: string[], signal?: AbortSignal): Promise<StudyRow[]> {
	if (uids.length === 0) return [];
	const query = new URLSearchParams(uids.map((uid) => ["uid", uid]));
	return (await getJson<StudyPage>(`/api/studies/?${query}`, signal)).studies;
}

/** Other studies of the same patient: same identifier, same issuer. */
export async function fetchStudiesOfPatient(
	row: StudyRow,
	signal?: AbortSignal,
): Promise<StudyRow[]> {
	if (!row.PatientID) return [];
	const query = new URLSearchParams({
		patient_id: row.PatientID,
		issuer: row.IssuerOfPatientID,
		sort: "-study_date",
	});
	return (await getJson<StudyPage>(`/api/studies/?${query}`, signal)).studies;
}

export function fetchChanges(after: number | null, signal?: AbortSignal): Promise<Changes> {
	return getJson<Changes>(
		after === null ? "/api/changes/" : `/api/changes/?after=${after}`,
		signal,
	);
}

export function fetchSession(signal?: AbortSignal): Promise<Session> {
	return getJson<Session>("/api/session/", signal);
}

export function loadDemoStudies(): Promise<{ accepted: number }> {
	return postJson("/api/demo/", {});
}

export async function signOut(): Promise<void> {
	await reach("/logout/", { method: "POST", headers: csrfHeaders(), credentials: "same-origin" });
	window.location.assign("/login/");
}

/** Marks a study as read, or takes the mark back; the row as it is then. */
export function markRead(study: string, read: boolean): Promise<StudyRow> {
	return unsafeJson(read ? "PUT" : "DELETE", `/api/studies/${encodeURIComponent(study)}/read/`);
}

export interface SavedFilter {
	id: number;
	name: string;
	asked: Partial<StudyFilter>;
	sort: string;
	/** null: the filter asks for something that is no longer there. */
	count: number | null;
	count_is_exact: boolean;
}

export function fetchSavedFilters(signal?: AbortSignal): Promise<SavedFilter[]> {
	return getJson(`/api/saved-filters/?today=${today()}`, signal);
}

export function keepFilter(
	name: string,
	asked: Partial<StudyFilter>,
	sort: string,
): Promise<SavedFilter> {
	return postJson("/api/saved-filters/", { name, asked, sort });
}

export function forgetFilter(id: number): Promise<void> {
	return unsafeJson("DELETE", `/api/saved-filters/${id}/`);
}

export function arrangeFilters(order: number[]): Promise<void> {
	return unsafeJson("PATCH", "/api/saved-filters/", { order });
}

/** What this user chose for the list, kept on the server. */
export interface ListPreferences {
	columns?: string[];
	/** The first tabs were made once; whoever removes them does not get them back. */
	seeded?: boolean;
}

export function fetchPreferences(signal?: AbortSignal): Promise<ListPreferences> {
	return getJson("/api/preferences/study-list/", signal);
}

export function keepPreferences(value: ListPreferences): Promise<ListPreferences> {
	return unsafeJson("PUT", "/api/preferences/study-list/", value);
}
