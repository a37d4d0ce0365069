package native

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// validity of all certificates: a test cluster is not renewed, it is made anew.
const validity = 10 * 365 * 24 * time.Hour

type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (c *Cluster) pki(name string) string { return c.path("pki", name) }

// makePKI makes the certificates and kubeconfigs that are missing. They survive down without --wipe.
func (c *Cluster) makePKI() error {
	ca, err := c.loadOrMakeCA()
	if err != nil {
		return err
	}

	if err := c.makeKey("service-account"); err != nil {
		return err
	}

	servers := []*x509.Certificate{
		{
			Subject:     pkix.Name{CommonName: "kube-apiserver"},
			IPAddresses: []net.IP{net.ParseIP(nodeAddress), net.ParseIP(apiService), net.IPv4(127, 0, 0, 1)},
			DNSNames:    []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
		},
		{Subject: pkix.Name{CommonName: "kubelet"}, IPAddresses: []net.IP{net.ParseIP(nodeAddress)}, DNSNames: []string{nodeName}},
	}
	for _, template := range servers {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if err := c.makeCert(ca, template.Subject.CommonName, template); err != nil {
			return err
		}
	}

	// File name of the kubeconfig to the identity in it.
	clients := map[string]pkix.Name{
		"kubeconfig":              {CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
		"kubelet.kubeconfig":      {CommonName: "system:node:" + nodeName, Organization: []string{"system:nodes"}},
		"kube-proxy.kubeconfig":   {CommonName: "system:kube-proxy"},
		"controllers.kubeconfig":  {CommonName: "system:kube-controller-manager"},
		"scheduler.kubeconfig":    {CommonName: "system:kube-scheduler"},
		"apiserver-to-kubelet.kc": {CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}},
	}
	for file, subject := range clients {
		if err := c.makeClient(ca, file, subject); err != nil {
			return err
		}
	}

	return nil
}

func (c *Cluster) loadOrMakeCA() (authority, error) {
	if cert, err := readPEM(c.pki("ca.crt")); err == nil {
		key, err := readPEM(c.pki("ca.key"))
		if err != nil {
			return authority{}, fmt.Errorf("reading the cluster's CA key: %w", err)
		}

		parsed, err := x509.ParseCertificate(cert)
		if err != nil {
			return authority{}, fmt.Errorf("reading the cluster's CA: %w", err)
		}

		signer, err := x509.ParseECPrivateKey(key)
		if err != nil {
			return authority{}, fmt.Errorf("reading the cluster's CA key: %w", err)
		}

		return authority{cert: parsed, key: signer}, nil
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}

	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubectl-kanister test cluster"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}

	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}

	if err := writeKey(c.pki("ca.key"), key); err != nil {
		return authority{}, err
	}

	if err := writePEM(c.pki("ca.crt"), "CERTIFICATE", der); err != nil {
		return authority{}, err
	}

	cert, err := x509.ParseCertificate(der)

	return authority{cert: cert, key: key}, err
}

func (c *Cluster) makeKey(name string) error {
	if _, err := os.Stat(c.pki(name + ".key")); err == nil {
		return nil
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}

	return writeKey(c.pki(name+".key"), key)
}

// makeCert signs template with ca into pki/<name>.crt and .key, unless they exist.
func (c *Cluster) makeCert(ca authority, name string, template *x509.Certificate) error {
	if _, err := os.Stat(c.pki(name + ".crt")); err == nil {
		return nil
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}

	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}

	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(validity)
	template.KeyUsage = x509.KeyUsageDigitalSignature

	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return fmt.Errorf("signing certificate of %s: %w", name, err)
	}

	if err := writeKey(c.pki(name+".key"), key); err != nil {
		return err
	}

	return writePEM(c.pki(name+".crt"), "CERTIFICATE", der)
}

func (c *Cluster) makeClient(ca authority, file string, subject pkix.Name) error {
	if _, err := os.Stat(c.path(file)); err == nil {
		return nil
	}

	template := &x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if err := c.makeCert(ca, file, template); err != nil {
		return err
	}

	data := map[string][]byte{}

	for _, name := range []string{"ca.crt", file + ".crt", file + ".key"} {
		content, err := os.ReadFile(c.pki(name))
		if err != nil {
			return err
		}

		data[name] = content
	}

	config := clientcmdapi.NewConfig()
	config.Clusters["kanister-test"] = &clientcmdapi.Cluster{
		Server: "https://" + net.JoinHostPort(nodeAddress, apiPort), CertificateAuthorityData: data["ca.crt"],
	}
	config.AuthInfos["user"] = &clientcmdapi.AuthInfo{ClientCertificateData: data[file+".crt"], ClientKeyData: data[file+".key"]}
	config.Contexts["kanister-test"] = &clientcmdapi.Context{Cluster: "kanister-test", AuthInfo: "user"}
	config.CurrentContext = "kanister-test"

	return clientcmd.WriteToFile(*config, c.path(file))
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	// The form that the API server takes for the key of service accounts; it does not read PKCS #8 there.
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}

	return writePEM(file, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}

	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func readPEM(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}

	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block in " + file)
	}

	return block.Bytes, nil
}
