/** The study list's own resources: rows, changes, session, demo studies. */
import { csrfHeaders, getJson, postJson, rememberCsrfToken, signInAgain } from "./rest";

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
	state: "receiving" | "complete";
	sender: string;
	door: string;
	received_at: string;
	last_received_at: string;
	size_bytes: number;
}

export interface StudyFilter {
	q: string;
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

export async function fetchSession(signal?: AbortSignal): Promise<Session> {
	const session = await getJson<Session>("/api/session/", signal);
	rememberCsrfToken(session.csrf_token);
	return session;
}

export function loadDemoStudies(): Promise<{ accepted: number }> {
	return postJson("/api/demo/", {});
}

export async function signOut(): Promise<void> {
	await fetch("/logout/", { method: "POST", headers: csrfHeaders(), credentials: "same-origin" });
	signInAgain();
}
