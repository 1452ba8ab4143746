## Removes what "systemctl enable" and "cm_ctl register" leave of units whose names begin so. It goes into the scripts of
## both formats.
for path in /etc/systemd/system/*.wants/@TEMPLATE@*.service /etc/systemd/system/*.requires/@TEMPLATE@*.service \
	/etc/systemd/system/@TEMPLATE@*.service /etc/systemd/system/@TEMPLATE@*.service.d/5[0-9]-cm_ctl*.conf; do
	# A unit that the administrator wrote is no link, and stays.
	if [ -L "$path" ] || [ "${path%.conf}" != "$path" ]; then
		rm -f "$path"
		case "${path%/*}" in
		*.wants | *.requires | *.service.d) rmdir "${path%/*}" 2>/dev/null || true ;;
		esac
	fi
done
