import * as Menu from "@radix-ui/react-dropdown-menu";
import { useQuery } from "@tanstack/react-query";
import { Check, ChevronDown } from "lucide-react";
import { fetchPeers, type Peer } from "../../dicomweb/peers";
import type { Session } from "../../dicomweb/studies";

/** Who can be searched and sent to; nobody for who may not. */
export function usePeers(session: Session | undefined): Peer[] | undefined {
	const { data } = useQuery({
		queryKey: ["peers"],
		queryFn: ({ signal }) => fetchPeers(signal),
		enabled: session?.permissions.includes("transfer_studies") ?? false,
		staleTime: 60_000,
	});
	return data;
}

/** Where the list looks: here, or in another archive. "" is here. */
export function SourceMenu({
	source,
	peers,
	onSource,
	open,
	onOpen,
}: {
	source: string;
	peers: Peer[] | undefined;
	onSource: (source: string) => void;
	open: boolean;
	onOpen: (open: boolean) => void;
}) {
	const others = peers?.filter((peer) => peer.queried) ?? [];
	const title = source ? `Studies in ${source}` : "Studies";
	if (others.length === 0 && !source) return <h1>{title}</h1>;
	const item = (name: string, words: string, note = "") => (
		<Menu.Item key={name} className="menu-item source-item" onSelect={() => onSource(name)}>
			<span className="check">{source === name && <Check size={14} aria-hidden="true" />}</span>
			<span>{words}</span>
			<span className="muted">{note}</span>
		</Menu.Item>
	);
	return (
		<h1>
			<Menu.Root open={open} onOpenChange={onOpen}>
				<Menu.Trigger className="source-button" title="Another archive   a">
					{title} <ChevronDown size={14} aria-hidden="true" />
				</Menu.Trigger>
				<Menu.Portal>
					<Menu.Content className="menu" align="start" sideOffset={4}>
						{item("", "Here")}
						<Menu.Separator className="menu-line" />
						<Menu.Label className="menu-label">Other archives</Menu.Label>
						{others.map((peer) => item(peer.title, peer.title, peer.description))}
					</Menu.Content>
				</Menu.Portal>
			</Menu.Root>
		</h1>
	);
}
