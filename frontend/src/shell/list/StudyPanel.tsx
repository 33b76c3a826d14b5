import { useQuery } from "@tanstack/react-query";
import { TriangleAlert, X } from "lucide-react";
import { useState } from "react";
import { fetchSeriesOf, type SeriesSummary, thumbnailUrl } from "../../dicomweb/series";
import { fetchStudiesOfPatient, type Session, type StudyRow } from "../../dicomweb/studies";
import {
	agoText,
	dateText,
	patientLine,
	personName,
	sizeText,
	timeText,
} from "../../model/studyText";

interface Props {
	row: StudyRow | undefined;
	session: Session | undefined;
	onOpen: (uid: string, newWindow?: boolean) => void;
	onMark: (row: StudyRow) => void;
	/** Absent for who may not. */
	onSend: ((row: StudyRow) => void) | undefined;
	onClose: () => void;
}

/** What one wants to know of a study before opening it. */
export function StudyPanel({ row, session, onOpen, onMark, onSend, onClose }: Props) {
	const close = (
		<button
			type="button"
			className="icon-button panel-close"
			aria-label="Close the side panel"
			title="Close   Space"
			onClick={onClose}
		>
			<X size={16} aria-hidden="true" />
		</button>
	);
	if (!row) {
		return (
			<aside className="panel" aria-label="Selected study">
				{close}
				<p className="muted">Select a study to see its series and earlier studies.</p>
			</aside>
		);
	}
	const mayMark = session?.permissions.includes("mark_read") ?? false;
	return (
		<aside className="panel" aria-label="Selected study">
			{close}
			<header className="panel-patient">
				<strong>{personName(row.PatientName) || "no name"}</strong>
				<span className="muted">{patientLine(row)}</span>
			</header>
			<Alerts row={row} session={session} />
			<section className="panel-study">
				<p>{row.StudyDescription || "no description"}</p>
				<p className="muted">
					{[
						`${dateText(row.StudyDate)} ${timeText(row.StudyTime)}`.trim() || "no date",
						row.ModalitiesInStudy.join(", "),
						sizeText(row.size_bytes),
					]
						.filter(Boolean)
						.join(" · ")}
				</p>
				{row.read_at && (
					<p className="muted" title={new Date(row.read_at).toLocaleString()}>
						read by {row.read_by}, {agoText(row.read_at)}
					</p>
				)}
				<div className="panel-actions">
					<button
						type="button"
						className="button"
						data-kind="primary"
						onClick={(event) => onOpen(row.StudyInstanceUID, event.shiftKey)}
					>
						Open <kbd>Enter</kbd>
					</button>
					{mayMark && row.state !== "receiving" && (
						<button type="button" className="button" onClick={() => onMark(row)}>
							{row.state === "read" ? "Mark as not read" : "Mark as read"} <kbd>m</kbd>
						</button>
					)}
					{onSend && (
						<button type="button" className="button" onClick={() => onSend(row)}>
							Send to … <kbd>s</kbd>
						</button>
					)}
				</div>
				<a href={`/receipts/studies/${encodeURIComponent(row.StudyInstanceUID)}/`}>
					Receipt: may the sender delete its images?
				</a>
			</section>
			<SeriesOf key={row.StudyInstanceUID} row={row} />
			<OtherStudies key={`${row.PatientID} ${row.StudyInstanceUID}`} row={row} onOpen={onOpen} />
		</aside>
	);
}

function Alerts({ row, session }: Pick<Props, "session"> & { row: StudyRow }) {
	if (row.alerts.length === 0) return null;
	const mayDecide = session?.staff && session.permissions.includes("manage_quarantine");
	return (
		<section className="panel-alerts">
			{row.alerts.map((alert) => (
				<p key={alert.cause}>
					<TriangleAlert size={14} aria-hidden="true" />
					<span>
						{alert.text}{" "}
						{mayDecide && alert.cause === "quarantine" && (
							<a
								href={`/admin/ingest/quarantinedinstance/?q=${encodeURIComponent(row.StudyInstanceUID)}`}
							>
								Look at it
							</a>
						)}
						{alert.cause === "polarity" && (
							<a href={`/polarity/studies/${encodeURIComponent(row.StudyInstanceUID)}/`}>
								Compare both polarities
							</a>
						)}
					</span>
				</p>
			))}
		</section>
	);
}

function SeriesOf({ row }: { row: StudyRow }) {
	const { data, error } = useQuery({
		queryKey: ["series", row.StudyInstanceUID, row.NumberOfStudyRelatedInstances],
		queryFn: ({ signal }) => fetchSeriesOf(row.StudyInstanceUID, signal),
		placeholderData: (previous) => previous,
	});
	const reports = data?.filter((series) => series.Modality === "SR") ?? [];
	const series = data?.filter((each) => each.Modality !== "SR") ?? [];
	const study = row.StudyInstanceUID;
	return (
		<>
			{reports.length > 0 && (
				<section>
					<h2 className="panel-title">Reports</h2>
					<SeriesLines study={study} series={reports} unit="report" />
				</section>
			)}
			<section style={{ minHeight: data ? undefined : 24 + 72 * row.NumberOfStudyRelatedSeries }}>
				<h2 className="panel-title">Series</h2>
				{error && <p className="muted">{error.message}</p>}
				<SeriesLines study={study} series={series} unit="instance" />
			</section>
		</>
	);
}

function SeriesLines({
	study,
	series,
	unit,
}: {
	study: string;
	series: SeriesSummary[];
	unit: string;
}) {
	return (
		<ul className="panel-series">
			{series.map((each) => (
				<li key={each.SeriesInstanceUID}>
					<Thumbnail study={study} series={each} />
					<span>
						<span>
							{each.SeriesNumber && <b>{each.SeriesNumber}</b>}{" "}
							{each.SeriesDescription || each.Modality}
						</span>
						<span className="muted">
							{each.Modality} · {each.instances} {each.instances === 1 ? unit : `${unit}s`}
						</span>
					</span>
				</li>
			))}
		</ul>
	);
}

function Thumbnail({ study, series }: { study: string; series: SeriesSummary }) {
	const [failed, setFailed] = useState(false);
	if (failed) return <span className="thumbnail thumbnail-none">{series.Modality || "?"}</span>;
	return (
		<img
			className="thumbnail"
			src={thumbnailUrl(study, series.SeriesInstanceUID)}
			alt=""
			loading="lazy"
			onError={() => setFailed(true)}
		/>
	);
}

function OtherStudies({ row, onOpen }: { row: StudyRow; onOpen: Props["onOpen"] }) {
	const { data } = useQuery({
		queryKey: ["of-patient", row.PatientID, row.IssuerOfPatientID],
		queryFn: ({ signal }) => fetchStudiesOfPatient(row, signal),
		enabled: row.PatientID !== "",
	});
	const others = data?.filter((each) => each.StudyInstanceUID !== row.StudyInstanceUID) ?? [];
	if (others.length === 0) return null;
	return (
		<section>
			<h2 className="panel-title">Other studies of this patient</h2>
			<ul className="panel-others">
				{others.map((other) => (
					<li key={other.StudyInstanceUID}>
						<button
							type="button"
							onClick={(event) => onOpen(other.StudyInstanceUID, event.shiftKey)}
						>
							<span>{dateText(other.StudyDate) || "no date"}</span>
							<span>{other.ModalitiesInStudy.join(", ")}</span>
							<span className="muted">
								{/* The same identifier with another name is not silently the same person. */}
								{other.PatientName === row.PatientName ? "" : `${personName(other.PatientName)} · `}
								{other.StudyDescription}
							</span>
						</button>
					</li>
				))}
			</ul>
		</section>
	);
}
