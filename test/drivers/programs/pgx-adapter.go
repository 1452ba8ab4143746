// pgx, in a static binary that no library can be loaded into. Requests on standard input, answers on standard
// output (see ../README.md).
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

var (
	// Of pgx; told by whoever builds this.
	version    string
	connection *pgx.Conn
	output     sync.Mutex
	background = context.Background()
)

func say(answer map[string]interface{}) {
	output.Lock()
	defer output.Unlock()
	line, _ := json.Marshal(answer)
	fmt.Println(string(line))
}

func perform(id int, verb, rest string) {
	value, err := act(verb, rest)
	if err == nil {
		say(map[string]interface{}{"id": id, "value": value})
		return
	}
	answer := map[string]interface{}{"id": id, "error": strings.TrimSpace(err.Error()), "sqlstate": nil}
	var told *pgconn.PgError
	if errors.As(err, &told) {
		answer["sqlstate"] = told.Code
	}
	say(answer)
}

func act(verb, rest string) (string, error) {
	switch verb {
	case "connect":
		shut()
		opened, err := pgx.Connect(background, rest)
		if err == nil {
			connection = opened
		}
		return "", err
	case "query":
		results, err := connection.PgConn().Exec(background, rest).ReadAll()
		if err != nil || len(results) == 0 || len(results[0].Rows) == 0 {
			return "", err
		}
		return string(results[0].Rows[0][0]), nil
	case "transaction":
		return "", connection.BeginFunc(background, func(transaction pgx.Tx) error {
			for _, sql := range strings.Split(rest, ";;") {
				if _, err := transaction.Exec(background, sql); err != nil {
					return err
				}
			}
			return nil
		})
	case "copy-in":
		words := strings.Fields(rest)
		count, _ := strconv.Atoi(words[1])
		rows := make([][]interface{}, count)
		for at := range rows {
			rows[at] = []interface{}{int32(at + 1)}
		}
		_, err := connection.CopyFrom(background, pgx.Identifier{words[0]}, []string{"n"}, pgx.CopyFromRows(rows))
		return "", err
	case "copy-out":
		var rows bytes.Buffer
		_, err := connection.PgConn().CopyTo(background, &rows, "copy ("+rest+") to stdout")
		return strconv.Itoa(bytes.Count(rows.Bytes(), []byte("\n"))), err
	case "cancel":
		return "", connection.PgConn().CancelRequest(background)
	case "close":
		shut()
		return "", nil
	}
	return "", fmt.Errorf("there is no %s", verb)
}

func shut() {
	if connection != nil {
		connection.Close(background)
		connection = nil
	}
}

func main() {
	say(map[string]interface{}{"version": version})
	type request struct {
		id         int
		verb, rest string
	}
	requests := make(chan request, 100)
	go func() {
		for one := range requests {
			perform(one.id, one.verb, one.rest)
		}
	}()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.SplitN(lines.Text(), " ", 3)
		id, _ := strconv.Atoi(words[0])
		one := request{id, words[1], strings.Join(words[2:], " ")}
		if one.verb == "cancel" {
			perform(one.id, one.verb, one.rest)
		} else {
			requests <- one
		}
	}
}
